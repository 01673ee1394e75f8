"""The example app over real HTTP: every mode, messages as they come, and mistakes told as such."""

import importlib
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from modplural import CommunityLM, CommunityPool, Distributional, Overton, Steerable, fake_lm, local_lm
from modplural.optimizers.versions import promote, register

ROOT = Path(__file__).parents[2]
FEW = 6


@pytest.fixture
def served(store: Path, tiny_model: Path) -> Iterator[httpx.Client]:
    """The app with a version and two folders, in a process of its own."""
    lm = local_lm(f"local/{tiny_model}", max_tokens=FEW, temperature=0.0)
    pool = CommunityPool([CommunityLM("care", lm, persona="You care."), CommunityLM("liberty", lm)])
    for kind in (Overton, Steerable, Distributional):
        kind(lm, pool).save(store / kind.__name__)
    register(store / "Overton", "overton")
    promote("overton/1")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(ROOT / "examples"), "--port", str(port), "app:app"]
    environment = {**os.environ, "MODPLURAL_APP": "models:/overton@champion Steerable Distributional"}
    with running(command, environment), httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        wait_until(lambda: client.get("/docs").status_code == 200)
        yield client


@contextmanager
def running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(command, env=environment)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def wait_until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        try:
            if ready():
                return
        except httpx.TransportError:
            time.sleep(0.2)
    raise AssertionError("the app did not answer")


@pytest.mark.slow
def test_every_mode_answers_and_streams(served: httpx.Client) -> None:
    overton = served.post("/overton", json={"query": "is it fair?"}).json()
    assert [message["community"] for message in overton["messages"]] == ["care", "liberty"]
    lines = served.post("/overton?stream=true", json={"query": "is it fair?"}).text.splitlines()
    *messages, last = map(json.loads, lines)
    assert sorted(event["message"]["community"] for event in messages) == ["care", "liberty"]
    assert last == {"prediction": overton}
    question = {"query": "is it fair?", "options": ["yes", "no"]}
    spread = served.post("/distributional", json=question).json()
    assert sum(spread["probabilities"].values()) == pytest.approx(1)
    chosen = served.post("/steerable", json={**question, "attribute": "care"}).json()
    assert chosen["option"] in question["options"]
    for path, body, status, said in [
        ("/overton", {"query": " "}, 422, "query is empty"),
        ("/steerable", {"query": "is it?"}, 422, "needs attribute"),
        ("/overton", {"query": "is it \ud83d?"}, 422, "query: 'is it \\\\ud83d?' is no Unicode text"),
        ("/overton", {"query": "is it?", "optionz": ["yes", "no"]}, 422, "optionz"),
        ("/oracle", {"query": "is it?"}, 404, "there is overton, steerable, distributional"),
    ]:
        refused = served.post(path, content=json.dumps(body), headers={"Content-Type": "application/json"})
        assert refused.status_code == status
        assert said in refused.text


async def test_half_a_character_that_an_lm_says_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    lm = fake_lm({"": "It is fair \ud83d"})
    program = Overton(lm, CommunityPool([CommunityLM("care", lm)]))
    monkeypatch.setenv("MODPLURAL_APP", "saved")
    monkeypatch.setattr("modplural.load", lambda _: program)
    monkeypatch.syspath_prepend(ROOT / "examples")
    transport = httpx.ASGITransport(importlib.import_module("app").app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        answer = await client.post("/overton", json={"query": "is it fair?"})
        stream = await client.post("/overton?stream=true", json={"query": "is it fair?"})
    assert answer.status_code == 200
    assert answer.json()["response"] == "It is fair \ud83d"
    assert json.loads(stream.text.splitlines()[-1]) == {"prediction": answer.json()}


def test_the_example_stays_short() -> None:
    assert len((ROOT / "examples" / "app.py").read_text(encoding="utf-8").splitlines()) < 60
