"""`modplural compile`: estimate, trials, figures, resuming, and what is wrong usage."""

import json
from collections.abc import Callable
from pathlib import Path

import dspy
import pytest
from typer.testing import Result

from modplural.optimizers.compilation import PROGRAM, REPORT, REPORT_TEXT, STATE
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.pool import CommunityPool

Run = Callable[..., Result]


@pytest.fixture
def compile_mode(run: Run, pool_file: Path, tmp_path: Path) -> Run:
    """Runs the command on a few records of the sample, in one folder."""

    def compile_mode(*arguments: object, mode: str = "distributional", strategy: str = "measurement") -> Result:
        task = {"distributional": "distributional-moralchoice", "overton": "overton-vk"}[mode]
        fixed = ("--task", task, "--strategy", strategy, "--output", tmp_path / "compiled", "--limit", 5)
        pool = () if "--program" in arguments else ("--pool", pool_file)
        return run("compile", mode, *fixed, *pool, *arguments)

    return compile_mode


def test_a_mode_is_compiled_and_saved(compile_mode: Run, tmp_path: Path) -> None:
    result = compile_mode()
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("Expected: up to ")
    assert "measurement: " in result.stderr
    for part in ("Jensen-Shannon distance", "dev", "test", f"The program: {tmp_path / 'compiled' / PROGRAM}"):
        assert part in result.stdout
    assert (tmp_path / "compiled" / PROGRAM).is_dir()
    assert "**The " in (tmp_path / "compiled" / REPORT_TEXT).read_text()


def test_the_same_command_goes_on_and_another_one_is_refused(compile_mode: Run, tmp_path: Path) -> None:
    assert compile_mode().exit_code == 0
    first = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert compile_mode().exit_code == 0
    again = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert again["trials"] == first["trials"]
    result = compile_mode(strategy="weights")
    assert result.exit_code == 2
    assert "belongs to another compilation: strategy was measurement, is weights" in result.stderr
    assert (tmp_path / "compiled" / STATE).exists()


def test_a_saved_program_is_compiled_further(compile_mode: Run, tmp_path: Path) -> None:
    pool = CommunityPool(CommunityLM(name, dspy.LM("openai/small"), persona=name) for name in ("care", "fairness"))
    saved = tmp_path / "saved"
    Distributional(dspy.LM("openai/base"), pool).save(saved)
    assert compile_mode("--program", saved, strategy="weights").exit_code == 0
    result = compile_mode("--program", saved, mode="overton", strategy="synthesis")
    assert result.exit_code == 2
    assert "holds a Distributional, which is not the mode overton" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--strategy", "luck"), "there is no strategy 'luck'"),
        (("--strategy", "gepa"), "the strategy 'gepa' has instructions written by an LM, and none was given"),
        (("--strategy", "synthesis"), "Distributional synthesizes nothing"),
        (("--task", "overton-vk"), "Distributional cannot be compiled for overton-vk"),
        (("--task", "poetry"), "unknown task 'poetry'"),
        (("--scorer", "taste"), "unknown scorer 'taste'"),
        (("--data", "nowhere.json"), "nowhere.json"),
        (("--max-calls", "3"), "max_calls is 3, and the scores before and after alone take about"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_spent(compile_mode: Run, arguments: tuple[str, ...], why: str) -> None:
    result = compile_mode(*arguments)
    assert result.exit_code == 2
    assert why in result.stderr
    assert "Traceback" not in result.stderr
