"""`modplural tasks`: what there is to evaluate on, and what is needed to have it."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modplural.cli.tasks import METRICS
from modplural.data import SAMPLES, TASKS
from modplural.data.sources import SOURCES, load_task

Run = Callable[..., Result]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_every_task_is_a_line_of_its_own(run: Run) -> None:
    result = run("tasks")
    assert (result.exit_code, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0].split() == ["task", "mode", "metric", "dataset", "sample"]
    for line, task in zip(lines[1:7], TASKS.values(), strict=True):
        assert line.split()[:2] == [task.name, task.mode]
        count = len(load_task(task.name).records) if task.name in SAMPLES else 0
        assert line.rstrip().endswith(f" {count}")
    assert METRICS.keys() == TASKS.keys()


def test_a_dataset_that_is_not_there_says_how_to_get_it(run: Run) -> None:
    shown = run("tasks").stdout
    states = {line.split()[0]: line.split()[-1] for line in shown.splitlines() if line.split()[:1] and "  " in line}
    assert {name: states[name] for name in SOURCES} == {
        "valueprism": "gated",
        "opinionqa": "missing",
        "moralchoice": "missing",
        "globalopinionqa": "missing",
    }
    said = " ".join(shown.split())
    for name, source in SOURCES.items():
        assert f"{name}: {source.remedy()}." in said


def test_scripts_get_the_same_as_one_list(run: Run) -> None:
    found = json.loads(run("tasks", "--json").stdout)
    assert [task["name"] for task in found] == list(TASKS)
    (steerable,) = (task for task in found if task["name"] == "steerable-vk")
    assert steerable["mode"] == "steerable"
    assert steerable["source"]["state"] == "gated"
    assert "https://huggingface.co/datasets/allenai/ValuePrism" in steerable["source"]["to_do"]


def test_a_dataset_in_the_cache_is_there(run: Run, empty_cache: Path) -> None:
    home = empty_cache / "datasets--Anthropic--llm_global_opinions"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("c0ffee")
    (home / "snapshots" / "c0ffee" / "data").mkdir(parents=True)
    (home / "snapshots" / "c0ffee" / "data" / "global_opinions.csv").write_text("question,selections,options\n")
    states = {task["source"]["name"]: task["source"] for task in json.loads(run("tasks", "--json").stdout)}
    assert (states["globalopinionqa"]["state"], states["globalopinionqa"]["to_do"]) == ("there", "")
    assert states["moralchoice"]["state"] == "missing"


def test_nothing_heavy_is_loaded_for_it() -> None:
    heavy = {"torch", "transformers", "peft", "mlflow", "litellm", "datasets", "pandas"}
    probe = (
        "import sys, modplural.cli\nsys.argv[1:] = ['tasks']\n"
        "try:\n    modplural.cli.main()\nexcept SystemExit:\n    pass\n"
        f"print('loaded:', *sorted({heavy} & sys.modules.keys()))"
    )
    result = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "loaded:"
