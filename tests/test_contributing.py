"""The recipes of CONTRIBUTING.md are run as they stand, in an empty folder; what each one promises is looked at."""

import json
import re
import shlex
from pathlib import Path
from typing import Any

import dspy
import pytest
from typer.testing import CliRunner

from modplural import load
from modplural.cli import app
from modplural.data import read_records, tasks

CONTRIBUTING = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def recipe(title: str) -> str:
    """The text of one recipe."""
    found = re.search(rf"^### {title}\n(.*?)(?=^##|\Z)", CONTRIBUTING, re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


def blocks(title: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", recipe(title), re.DOTALL | re.MULTILINE)


def follow(title: str) -> dict[str, Any]:
    """Run the Python of a recipe, one block after the other; the names that it leaves behind."""
    names: dict[str, Any] = {"__name__": "recipe"}
    assert blocks(title, "python")
    for code in blocks(title, "python"):
        exec(compile(code, f"CONTRIBUTING.md, {title}", "exec"), names)
    return names


def test_every_recipe_is_tested() -> None:
    titles = re.findall(r"^### (.*)$", CONTRIBUTING, re.MULTILINE)
    assert titles == ["A community", "A dataset", "An optimizer strategy", "An engine"]


def test_a_community(capsys: pytest.CaptureFixture[str]) -> None:
    (commands,) = blocks("A community", "console")
    for command in commands.splitlines():
        dollar, program, *arguments = shlex.split(command)
        assert (dollar, program) == ("$", "modplural")
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, result.output
    assert "People over seventy." in result.stdout
    assert "elders" in follow("A community")["pool"]
    assert capsys.readouterr().out == "Some would miss it.\n"


def test_a_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    made = follow("A dataset")
    assert made["report"].complete
    (row,) = json.loads(Path("answered.json").read_bytes())
    assert (row["petition"], row["output"]) == ("Plant more trees.", "Trees give shade.")
    monkeypatch.setattr(tasks, "TASKS", {**tasks.TASKS, made["task"].name: made["task"]})
    assert read_records("petitions.json").task is read_records("petitions.json", "overton-petitions").task


def test_an_optimizer_strategy() -> None:
    made = follow("An optimizer strategy")
    compiled, care = made["compiled"], made["care"]
    assert [demo.query for demo in compiled.synthesize.demos] == ["May one lie?", "May one brag?"]
    assert made["overton"].synthesize.demos == []
    again = load("compiled", base=made["overton"].base, lms={"care": care.lm})
    assert [demo["query"] for demo in again.synthesize.demos] == ["May one lie?", "May one brag?"]
    assert made["best"].synthesis.value == "joint"

    def is_refined(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> bool:
        return prediction.strategy == "refine"

    assert made["BestSynthesis"](is_refined).compile(compiled, trainset=made["trainset"]).synthesis.value == "refine"
    assert compiled.synthesis.value == "joint"


async def test_an_engine(capsys: pytest.CaptureFixture[str]) -> None:
    vanilla = follow("An engine")["vanilla"]
    assert capsys.readouterr().out.startswith("Yes. {'Yes': 0.")
    assert (await vanilla.acall("Is it right?")).response == "Yes."
    measured = await vanilla.acall("Is it right?", options=["Yes", "Not at all"])
    assert sum(measured.probabilities.values()) == pytest.approx(1)
    assert vanilla.choose.strategies(vanilla.base) == ("letters", "texts", "verdicts", "sampled", "verbalized")
    assert vanilla.deepcopy().base is vanilla.base
