"""What an evaluation exports is read and scored as any tool's file is, and comes to the same figures."""

from pathlib import Path

import pytest

from modplural.optimizers.evaluation import Plan, evaluate, export
from modplural.optimizers.scoring import score_file

from .conftest import Words, World, dilemma, situation
from .test_reports import opinion, stance


def plan(world: World, task: str) -> Plan:
    rows = {
        "overton-vk": [situation(n) for n in range(4)],
        "steerable-vk": [stance(n) for n in range(4)],
        "steerable-opinionqa": [opinion(n) for n in range(4)],
        "distributional-moralchoice": [dilemma(n, n % 2 == 0) for n in range(4)],
        "distributional-globalopinionqa": [opinion(n, "Chile") for n in range(4)],
    }
    return world.plan(task, rows[task], "vanilla", "modular")


@pytest.mark.parametrize(
    "task",
    [
        "overton-vk",
        "steerable-vk",
        "steerable-opinionqa",
        "distributional-moralchoice",
        "distributional-globalopinionqa",
    ],
)
def test_exported_answers_score_the_same(world: World, tmp_path: Path, task: str) -> None:
    plans = [plan(world, task)]
    found = evaluate(plans, tmp_path / "found", scorer=Words())
    for path, method in zip(export(found, plans, tmp_path / "out"), found.figures, strict=True):
        scored = score_file(path, task, Words())
        assert len(scored.answers.predictions) == 4
        primary = scored.metric.primary
        assert scored.figures[primary].value == pytest.approx(method.figures[primary].value, abs=1e-12)
        assert scored.figures[primary].low == pytest.approx(method.figures[primary].low, abs=1e-12)
