"""What surrounds a command: notes, quiet libraries, readable errors, readers that leave early."""

import logging
import os
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import typer

from modplural.cli.session import checking, described, interruptible, session


def test_our_own_log_is_shown_as_notes(capsys: pytest.CaptureFixture[str]) -> None:
    with session():
        logging.getLogger("modplural.programs.engines.embedded").warning("Converting %s.", "[the model]")
    logging.getLogger("modplural.programs.engines.embedded").warning("Afterwards.")
    shown = capsys.readouterr()
    assert (shown.out, shown.err) == ("", "Converting [the model].\n")


def test_libraries_are_kept_quiet(capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    truncated = logging.getLogger("dspy.clients.lm")
    with session():
        truncated.warning("LM response was truncated")
        warnings.warn("this will change", FutureWarning, stacklevel=1)
    assert not caplog.records
    assert capsys.readouterr().err == ""
    truncated.warning("LM response was truncated")
    assert len(caplog.records) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("no such thing"), "no such thing"),
        (KeyError("thing"), "KeyError: 'thing'"),
        (RuntimeError(), "RuntimeError"),
        (FileNotFoundError(2, "No such file or directory", "a.json"), "a.json: No such file or directory"),
    ],
)
def test_an_error_is_described_in_a_line(error: Exception, said: str) -> None:
    assert described(error) == said


def test_what_is_checked_is_wrong_usage_and_the_rest_is_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit) as wrong, session(), checking():
        raise ValueError("this makes no sense")
    with pytest.raises(typer.Exit) as failed, session():
        raise ValueError("this went wrong")
    assert (wrong.value.exit_code, failed.value.exit_code) == (2, 1)
    assert capsys.readouterr().err == "Error: this makes no sense\nError: this went wrong\n"


def test_what_ends_interruptible_work_is_raised() -> None:
    with pytest.raises(SystemExit):
        interruptible(sys.exit)


MAIN = [sys.executable, "-c", "import sys; sys.argv[0] = 'modplural'; from modplural.cli import main; main()"]
COMMANDS = [["communities", "list"], ["--help"], ["--version"]]


@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_reader_that_leaves_early_is_told_nothing_and_what_it_missed_is_no_success(arguments: list[str]) -> None:
    with subprocess.Popen([*MAIN, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (said, process.returncode) == ("", 1)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full, as Linux has it")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_full_disk_is_told_once(arguments: list[str]) -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([*MAIN, *arguments], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.skipif(os.name != "posix", reason="needs a shell that closes descriptors")
def test_a_closed_standard_output_is_told(tmp_path: Path) -> None:
    command = f"{shlex.join([*MAIN, 'communities', 'list'])} >&-"
    result = subprocess.run(["sh", "-c", command], stderr=subprocess.PIPE, text=True)
    assert (result.returncode, result.stderr.count("\n")) == (1, 1)
    assert "standard output is closed" in result.stderr


def test_a_key_in_an_error_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "canary-of-mine")
    assert described(RuntimeError("wrong key canary-of-mine")) == "RuntimeError: wrong key ***"
