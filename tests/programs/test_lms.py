"""From a configuration to an LM: what is passed on, and where keys come from."""

import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest

from modplural.programs.config import LMConfig
from modplural.programs.engines.local import LocalEngine
from modplural.programs.lms import build_lm

VARIABLES = ("OPENAI_API_KEY", "HOSTED_VLLM_API_KEY", "VLLM_API_KEY")
"""Where libraries look for the key of a provider."""


class Server(NamedTuple):
    """A server on this machine that speaks OpenAI's language, and the headers of the requests that it got."""

    address: str
    headers: list[dict[str, str]]


@pytest.fixture
def server() -> Iterator[Server]:
    headers: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            headers.append({name.lower(): value for name, value in self.headers.items()})
            message = {"role": "assistant", "content": "Yes."}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
            reply = {"id": "1", "object": "chat.completion", "created": 0, "model": "some", "choices": [choice]}
            body = json.dumps({**reply, "usage": usage}).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield Server(f"http://127.0.0.1:{http.server_port}/v1", headers)
        http.shutdown()


def test_a_served_lm_gets_its_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hunter2")
    config = LMConfig(
        model="openai/some", api_base="http://127.0.0.1:8000/v1", api_key_env="SOME_KEY", temperature=0.5, max_tokens=7
    )
    lm = build_lm(config)
    assert lm.model == "openai/some"
    settings = {"api_base": config.api_base, "api_key": "hunter2", "temperature": 0.5, "max_tokens": 7}
    assert settings.items() <= lm.kwargs.items()


def test_the_key_is_not_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hunter2")
    lm = build_lm(LMConfig(model="openai/some", api_key_env="SOME_KEY"))
    assert "hunter2" not in json.dumps(lm.dump_state())


@pytest.mark.parametrize("value", [None, ""])
def test_a_missing_key_names_its_variable(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOME_KEY", raising=False)
    if value is not None:
        monkeypatch.setenv("SOME_KEY", value)
    with pytest.raises(LookupError, match="'openai/some' needs a key: set the environment variable SOME_KEY"):
        build_lm(LMConfig(model="openai/some", api_key_env="SOME_KEY"))


@pytest.mark.parametrize("server", ["127.0.0.1:8000", "localhost", "[::1]:8000", "127.8.9.1"])
def test_keys_are_sent_to_this_machine(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hunter2")
    lm = build_lm(LMConfig(model="openai/some", api_base=f"http://{server}/v1", api_key_env="SOME_KEY"))
    assert lm.kwargs["api_key"] == "hunter2"


@pytest.mark.parametrize(
    ("server", "named"),
    [
        ("evil.example", ""),
        ("evil.example", ","),
        ("127.0.0.1.evil.example", ""),
        ("localhost.evil.example", ""),
        ("10.0.0.7", ""),
        ("evil.example", "good.example, example"),
        ("good.example:9000", "good.example:8000"),
    ],
)
def test_keys_are_sent_to_no_other_server(server: str, named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2")
    monkeypatch.setenv("MODPLURAL_KEY_SERVERS", named)
    config = LMConfig(model="openai/some", api_base=f"https://{server}/v1", api_key_env="AWS_SECRET_ACCESS_KEY")
    message = (
        f"variable AWS_SECRET_ACCESS_KEY to {server}, which .*; if the key belongs there, set MODPLURAL_KEY_SERVERS="
    )
    with pytest.raises(ValueError, match=message):
        build_lm(config)


@pytest.mark.parametrize("named", ["good.example", "other.example, GOOD.example", "good.example:8000"])
def test_keys_are_sent_to_servers_that_the_user_names(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "hunter2")
    monkeypatch.setenv("MODPLURAL_KEY_SERVERS", named)
    lm = build_lm(LMConfig(model="openai/some", api_base="https://good.example:8000/v1", api_key_env="SOME_KEY"))
    assert lm.kwargs["api_key"] == "hunter2"


@pytest.mark.parametrize("named", ["evil.example", ""])
def test_a_server_of_anybodys_gets_no_key_of_the_providers(named: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    monkeypatch.setenv("MODPLURAL_KEY_SERVERS", named)
    lm = build_lm(LMConfig(model="openai/some", api_base="https://evil.example/v1"))
    assert lm.kwargs["api_key"] == "-"  # with none at all, DSPy takes the provider's


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_a_server_on_this_machine_gets_no_key_that_was_not_named(
    provider: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.setenv(variable, "hunter2")
    lm = build_lm(LMConfig(model=f"{provider}/some", api_base=server.address))
    assert lm("Is it right?") == ["Yes."]
    assert server.headers
    assert "hunter2" not in str(server.headers)


@pytest.mark.parametrize("provider", ["openai", "hosted_vllm"])
def test_a_server_on_this_machine_is_asked_without_any_key(
    provider: str, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    assert build_lm(LMConfig(model=f"{provider}/some", api_base=server.address))("Is it right?") == ["Yes."]


def test_a_server_on_this_machine_gets_the_key_that_was_named(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "hunter2")
    monkeypatch.setenv("SOME_KEY", "hunter3")
    build_lm(LMConfig(model="openai/some", api_base=server.address, api_key_env="SOME_KEY"))("Is it right?")
    assert server.headers[0]["authorization"] == "Bearer hunter3"


def test_settings_that_are_not_given_are_left_to_the_backend() -> None:
    settings = build_lm(LMConfig(model="openai/some")).kwargs
    assert (settings.get("temperature"), settings.get("max_tokens")) == (None, None)


def test_a_local_lm_runs_in_this_process(tiny_model: Path, tiny_adapters: dict[str, Path]) -> None:
    lm = build_lm(LMConfig(model=f"local/{tiny_model}", adapter=str(tiny_adapters["care"]), max_tokens=7))
    assert re.fullmatch(r"local/tiny@\w+\+care@\w+", lm.model)
    assert isinstance(lm.engine, LocalEngine)
    assert lm.kwargs["max_tokens"] == 7
