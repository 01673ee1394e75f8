"""`modplural run`: answered files, records in trouble, progress, and interruptions."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.resources import as_file
from pathlib import Path

import dspy
import pytest
from rich.console import Console
from typer.testing import Result

from modplural.cli.options import ModeName, make_program
from modplural.cli.run import run_records
from modplural.cli.session import Terminal
from modplural.data import encode_rows, sample
from modplural.optimizers import journal_path

Run = Callable[..., Result]
DISTRIBUTIONAL = ("--mode", "distributional")

FAKE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
from modplural.cli import main
from modplural.programs import building
from modplural.programs.engines.fake import fake_lm

delays = {sys.argv.pop(1): 60} if sys.argv[1] != "run" else None
building.build_lm = lambda config: fake_lm({"": "Indeed."}, lambda prompt, text: -1.0, delays=delays)
main()
"""
"""A `modplural` in its own process; a first argument other than the command is what its LMs ponder for a minute."""


@pytest.fixture
def records(tmp_path: Path) -> Path:
    """Four records of two options each."""
    with as_file(sample("distributional-moralchoice")) as file:
        copy = tmp_path / "dilemmas.json"
        copy.write_bytes(encode_rows(json.loads(file.read_bytes())[:4]))
    return copy


def edit(records: Path, index: int, **changes: object) -> None:
    rows = json.loads(records.read_text())
    rows[index] |= changes
    records.write_text(json.dumps(rows))


def test_every_record_is_answered(run: Run, records: Path, pool_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "results" / "answered.json"
    result = run("run", records, *DISTRIBUTIONAL, "--output", output, "--pool", pool_file)
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == f"{output}: 4 records of distributional-moralchoice, 4 answered now\n"
    assert all(sum(row["pred_distribution"]) == pytest.approx(1) for row in json.loads(output.read_text()))


def test_a_run_goes_on_where_it_stopped(run: Run, records: Path, pool_file: Path, tmp_path: Path) -> None:
    arguments = ("run", records, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file)
    assert run(*arguments, "--limit", "3").exit_code == 0
    assert "1 answered now, 3 answered before" in run(*arguments).stdout


def test_records_in_trouble_are_listed_by_index(run: Run, records: Path, pool_file: Path, tmp_path: Path) -> None:
    edit(records, 1, options=["only this"])
    edit(records, 3, options=["", "\x1b[31m"])
    result = run("run", records, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file)
    assert result.exit_code == 1
    summary, _, *troubles = (line.split(maxsplit=2) for line in result.stdout.splitlines())
    assert summary[2].endswith("2 answered now, 2 unreadable")
    assert [trouble[:2] for trouble in troubles] == [["1", "unreadable"], ["3", "unreadable"]]
    assert "1 texts in 'options' but 2 in 'gold_distribution'" in troubles[0][2]


def test_an_odd_record_is_in_trouble_by_itself(run: Run, records: Path, pool_file: Path, tmp_path: Path) -> None:
    edit(records, 0, attribute="low ambiguity")
    result = run("run", records, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file)
    assert result.exit_code == 1
    assert "4 records of distributional-moralchoice, 3 answered now, 1 unreadable" in result.stdout


def test_the_task_can_be_named(run: Run, records: Path, pool_file: Path, tmp_path: Path) -> None:
    arguments = ("run", records, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file, "--task")
    result = run(*arguments, "distributional-globalopinionqa")
    assert result.exit_code == 0
    assert "4 records of distributional-globalopinionqa, 4 answered now" in result.stdout
    unknown = run(*arguments, "dilemmas")
    assert unknown.exit_code == 2
    assert "unknown task 'dilemmas'; the tasks are overton-vk" in unknown.stderr


def test_what_fails_alike_is_listed_once(
    run: Run, records: Path, pool_file: Path, tmp_path: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for care"] = ConnectionError("nobody there")
    result = run("run", records, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file)
    assert result.exit_code == 1
    assert "4 failed" in result.stdout
    assert "0, 1, 2, 3  failed  CommunityError" in result.stdout
    assert result.stdout.count("nobody there") == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [(None, "none.json: No such file"), ("[]", "holds an empty list"), ("{", "is not JSON")],
)
def test_a_file_that_holds_no_records_is_wrong_usage(
    content: str | None, said: str, run: Run, pool_file: Path, tmp_path: Path
) -> None:
    file = tmp_path / "none.json"
    if content is not None:
        file.write_text(content)
    result = run("run", file, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file)
    assert result.exit_code == 2
    assert said in result.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("dilemmas.json", "--mode", "distributional", "--output", "dilemmas.json"), "is the file of records"),
        (("dilemmas.json", "--mode", "distributional", "--output", "folder"), "is a folder. Name a file"),
        (("dilemmas.json", "--mode", "distributional", "--output", "dilemmas.json/out.json"), "dilemmas.json: "),
        (("folder", "--mode", "distributional", "--output", "out.json"), "folder: Is a directory"),
        (("dilemmas.json", "--mode", "overton", "--output", "out.json"), "moralchoice, and Overton takes no options"),
        (("dilemmas.json", "--mode", "steerable", "--output", "out.json"), "moralchoice, and Steerable needs attrib"),
    ],
)
@pytest.mark.usefixtures("records")
def test_what_does_not_fit_together_is_wrong_usage_and_nobody_is_asked(
    arguments: tuple[str, ...],
    said: str,
    run: Run,
    pool_file: Path,
    tmp_path: Path,
    fakes: dict[str, dspy.LM],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder").mkdir()
    result = run("run", *arguments, "--pool", pool_file)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert not any(lm.engine.requests for lm in fakes.values())
    assert not Path("out.json").exists()


def test_a_program_whose_answers_are_of_another_kind_is_wrong_usage(run: Run, pool_file: Path, tmp_path: Path) -> None:
    with as_file(sample("steerable-vk")) as records:
        result = run("run", records, *DISTRIBUTIONAL, "--output", tmp_path / "out.json", "--pool", pool_file)
    assert result.exit_code == 2
    assert "these records are answered by a prediction's 'option'" in result.stderr


def test_the_output_of_something_else_is_kept(run: Run, records: Path, pool_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "letters.json"
    output.write_text("[]")
    result = run("run", records, *DISTRIBUTIONAL, "--output", output, "--pool", pool_file)
    assert (result.exit_code, result.stdout, output.read_text()) == (1, "", "[]")
    assert "no run wrote it" in result.stderr


@pytest.mark.usefixtures("fakes")
def test_progress_is_shown_in_a_terminal(records: Path, pool_file: Path, tmp_path: Path) -> None:
    terminal = Terminal()
    terminal.notes = Console(file=io.StringIO(), force_terminal=True, width=100)
    program = make_program(ModeName.DISTRIBUTIONAL, None, None, str(pool_file), None)
    run_records(terminal, program, records, tmp_path / "out.json", limit=None, workers=1)
    drawn = terminal.notes.file.getvalue()
    assert "4/4" in drawn
    assert "records/s" in drawn


def test_an_interrupted_run_ends_at_once_and_can_be_continued(records: Path, pool_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    command = ["run", records, *DISTRIBUTIONAL, "--output", output, "--pool", pool_file, "--workers", "1"]
    fake = [sys.executable, "-c", FAKE]
    with subprocess.Popen([*fake, "school bus", *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not journal_path(output).exists() or len(journal_path(output).read_bytes().splitlines()) < 2:
            time.sleep(0.01)
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=20)
    assert process.returncode == 130
    assert said == f"Interrupted. What is answered is in {journal_path(output)}; the same command goes on.\n"
    assert not output.exists()
    again = subprocess.run([*fake, *command], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert "3 answered now, 1 answered before" in again.stdout
