"""`modplural serve` and `mlflow models serve` over real HTTP: the same JSON in and out, and an end by Ctrl-C."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from modplural import CommunityLM, CommunityPool, Overton, local_lm
from modplural.cli.ports import free_port
from modplural.optimizers.evaluation.answers import as_json
from modplural.optimizers.versions import register

from .conftest import Run

MAIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from modplural.cli import main; main()"
"""The command line, which hears Ctrl-C also where these tests run in the background."""

QUESTIONS = {"inputs": [{"query": "is it fair?"}, {"query": "is it right?"}]}


@pytest.fixture
def program(store: Path, tiny_model: Path) -> Overton:
    """A program on the tiny model, registered as `tiny/1`."""
    lm = local_lm(f"local/{tiny_model}", max_tokens=6, temperature=0.0)
    program = Overton(lm, CommunityPool([CommunityLM("care", lm, persona="You care."), CommunityLM("liberty", lm)]))
    program.save(store / "saved")
    register(store / "saved", "tiny")
    return program


@contextmanager
def running(*command: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which is made to end in any case."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def address_in(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    line = process.stdout.readline()
    (address,) = [word.rstrip(",") for word in line.split() if word.startswith("http://127.0.0.1:")]
    return address


def ask(address: str, body: Any) -> httpx.Response:
    return httpx.post(address, content=json.dumps(body), headers={"Content-Type": "application/json"}, timeout=60)


@pytest.mark.slow
def test_a_version_answers_in_order_and_ends_by_ctrl_c(program: Overton) -> None:
    expected = [as_json(program(**question)) for question in QUESTIONS["inputs"]]
    with running(sys.executable, "-c", MAIN, "serve", "tiny/1", "--port", "0") as process:
        address = address_in(process)
        assert ask(address, QUESTIONS).json() == {"predictions": expected}
        for question, said in [
            ({"query": " "}, "inputs[0]: query is empty"),
            ({"query": "is it?", "options": ["yes", "no"]}, "inputs[0]: overton takes no options"),
            ({"question": "is it?"}, "query"),
            ({"query": "is it \ud83d?"}, "inputs[0]: query: 'is it \\ud83d?' is no Unicode text"),
        ]:
            refused = ask(address, {"inputs": [question]})
            assert refused.status_code == 400
            assert said.lower() in refused.json()["message"].lower()
            assert "stack_trace" not in refused.json()
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130


@pytest.mark.slow
def test_mlflow_serves_the_same_without_pickles(program: Overton) -> None:
    port = free_port(0)
    command = ("-m", "mlflow", "models", "serve", "-m", "models:/tiny/1", "--env-manager", "local", "--port", str(port))
    expected = [as_json(program(**question)) for question in QUESTIONS["inputs"]]
    with running(sys.executable, *command) as process:
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline and process.poll() is None:
            try:
                found = ask(f"http://127.0.0.1:{port}/invocations", QUESTIONS)
                break
            except httpx.TransportError:
                time.sleep(0.3)
        process.terminate()
        assert found.json() == {"predictions": expected}


def test_a_failure_tells_no_secret(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import dspy
    from mlflow.exceptions import MlflowException
    from mlflow.pyfunc.model import PythonModelContext

    from modplural import Vanilla
    from modplural.optimizers.versions.served import AskedQuestion, ServedProgram

    monkeypatch.setenv("SERVER_KEY", "canary-key-5f2c")
    Vanilla(dspy.LM("hosted_vllm/none", api_base="http://127.0.0.1:9/v1", num_retries=0)).save(store / "saved")
    served = ServedProgram()
    served.load_context(PythonModelContext({"program": str(store / "saved")}, None))
    served._program.base.num_retries = 0
    with pytest.raises(MlflowException) as failed:
        served.predict([AskedQuestion(query="May I? canary-key-5f2c")])
    assert failed.value.error_code == "INTERNAL_ERROR"
    assert "canary" not in json.dumps(failed.value.serialize_as_json())


@pytest.mark.parametrize(
    ("version", "problem"),
    [("overton/1", "no version is called 'overton'"), ("nowhere", "names no version"), (".", "is no saved program")],
)
def test_what_cannot_be_served_is_said(version: str, problem: str, store: Path, run: Run) -> None:
    result = run("serve", version, "--port", "0")
    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


def test_a_taken_port_is_said_to_be_taken(store: Path, run: Run) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for command in (("serve", "overton/1"), ("ui",)):
            result = run(*command, "--port", port)
            assert result.exit_code == 2
            assert f"Port {port} cannot be served on" in result.stderr
