"""The primary figure of each population by itself."""

import math

import dspy

from modplural.optimizers.breakdown import FEWEST, breakdown, extremes
from modplural.optimizers.metrics import Figure, metric_for


def examples(*groups: str) -> list[dspy.Example]:
    return [dspy.Example(query=f"q{number}", group=group) for number, group in enumerate(groups)]


def figure(value: float, n: int) -> Figure:
    return Figure("f", value, value, value, n, n)


def test_the_worst_comes_first_whichever_way_is_better() -> None:
    rows = [0.1, 0.3, 0.5, math.nan]
    asked = examples("Chile", "Chile", "Peru", "Cuba")
    distance = breakdown(metric_for("distributional-globalopinionqa"), asked, rows)
    assert list(distance) == ["Peru", "Chile", "Cuba"]
    assert (distance["Chile"].value, distance["Chile"].n) == (0.2, 2)
    assert distance["Cuba"].n == 0
    assert list(breakdown(metric_for("steerable-opinionqa"), asked, rows)) == ["Chile", "Peru", "Cuba"]


def test_examples_about_nobody_have_no_parts() -> None:
    assert breakdown(metric_for("steerable-vk"), [dspy.Example(situation="s")], [1.0]) == {}


def test_a_part_is_worst_or_best_and_never_both() -> None:
    parts = {str(number): figure(number / 10, FEWEST) for number in range(7)} | {"small": figure(0, FEWEST - 1)}
    found = extremes(parts, 5)
    assert (list(found.worst), list(found.best), found.small) == (["0", "1", "2", "3"], ["6", "5", "4"], 1)
    assert list(extremes(parts, 1).best) == ["6"]
    assert extremes({"one": figure(1, FEWEST)}).best == {}
    assert extremes({}).worst == {}
