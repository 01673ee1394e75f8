"""`modplural communities`: who is in a pool, and who of them answers."""

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import dspy
import pytest
from typer.testing import Result

Run = Callable[..., Result]
LMs = dict[str, dspy.LM]


def cells(result: Result) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in result.stdout.splitlines()]


def test_communities_are_listed_without_making_their_lms(run: Run, pool_file: Path, fakes: LMs) -> None:
    result = run("communities", "list", "--pool", pool_file)
    assert result.exit_code == 0
    assert cells(result) == [
        ["community", "weight", "LM", "description"],
        ["care", "1", "openai/small", "Those", "who", "care."],
        ["fairness", "3", "openai/small", "Those", "who", "are", "fair."],
        [],
        ["The", "base", "LLM", "is", "openai/base."],
    ]
    assert not fakes


def test_the_default_pool_is_listed_when_none_is_named(run: Run) -> None:
    assert run("communities", "list").stdout == run("communities", "list", "--pool", "default").stdout


def test_an_adapter_is_named_with_its_base(run: Run) -> None:
    assert "bunsenfeng/mistral-asia_culture" in run("communities", "list", "--pool", "culture").stdout


def test_all_answer(run: Run, pool_file: Path) -> None:
    result = run("communities", "check", "--pool", pool_file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [line[:2] for line in cells(result)] == [["base", "ok"], ["care", "ok"], ["fairness", "ok"]]
    assert "Kindness protects somebody fragile." in result.stdout


@pytest.mark.parametrize("reply", [ConnectionError("nobody there"), " "])
def test_one_that_does_not_answer_fails_alone(
    reply: str | Exception, run: Run, pool_file: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for fairness"] = reply
    result = run("communities", "check", "--pool", pool_file)
    assert result.exit_code == 1
    assert [line[:2] for line in cells(result)][:3] == [["base", "ok"], ["care", "ok"], ["fairness", "failed"]]
    assert str(reply).strip() in result.stdout


def test_one_that_cannot_be_made_fails_alone(run: Run, pool_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    pool_file.write_text(pool_file.read_text().replace("weight: 3", "api_key_env: NO_SUCH_KEY"))
    result = run("communities", "check", "--pool", pool_file)
    assert result.exit_code == 1
    assert [line[:2] for line in cells(result)][:3] == [["base", "ok"], ["care", "ok"], ["fairness", "failed"]]
    assert "set the environment variable NO_SUCH_KEY" in result.stdout


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing; the settings of an LM there."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"model: hosted_vllm/x, api_base: http://127.0.0.1:{server.getsockname()[1]}/v1"


def test_one_that_says_nothing_keeps_nobody_waiting(
    silent: str, run: Run, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SILENT_KEY", "none")
    pool_file.write_text(pool_file.read_text().replace("weight: 3", f"{silent}, api_key_env: SILENT_KEY"))
    result = run("communities", "check", "--pool", pool_file, "--timeout", 2)
    assert result.exit_code == 1
    assert [line[:2] for line in cells(result)][:3] == [["base", "ok"], ["care", "ok"], ["fairness", "failed"]]
    assert "no answer within 2 s" in result.stdout


def test_the_command_ends_while_a_server_says_nothing(silent: str, pool_file: Path) -> None:
    pool_file.write_text(
        pool_file.read_text().replace("model: openai/base", silent).replace("model: openai/small", silent)
    )
    command = ["communities", "check", "--pool", str(pool_file), "--timeout", "2"]
    ended = subprocess.run(
        [sys.executable, "-c", "from modplural.cli import main; main()", *command],
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert ended.returncode == 1, ended.stderr
    assert ended.stdout.count("no answer within 2 s") == 3


def test_a_reply_of_yesterday_counts_for_nothing(
    run: Run, pool_file: Path, replies: dict[str, str | Exception], dspy_cache: Path
) -> None:
    assert run("communities", "check", "--pool", pool_file).exit_code == 0
    replies["You speak for care"] = ConnectionError("nobody there")
    assert run("communities", "check", "--pool", pool_file).exit_code == 1
