"""`modplural evaluate`: tables, resuming, failures, and what is wrong usage."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modplural.optimizers.evaluation import RESULT

Run = Callable[..., Result]


@pytest.fixture
def evaluate(run: Run, pool_file: Path, tmp_path: Path) -> Run:
    """Runs the command on the sample of MoralChoice, four records, in one folder."""

    def evaluate(*arguments: object, task: str = "distributional-moralchoice") -> Result:
        fixed = ("--task", task, "--pool", pool_file, "--output", tmp_path / "found", "--limit", 4)
        return run("evaluate", *fixed, *arguments)

    return evaluate


def test_methods_stand_beside_one_another(evaluate: Run, tmp_path: Path) -> None:
    result = evaluate()
    assert (result.exit_code, result.stderr) == (0, "")
    found = json.loads((tmp_path / "found" / RESULT).read_bytes())
    assert len(found["rows"]) == 16
