"""Whether the winner of a search is kept: only where a paired test on the dev records says that it is better.

The best of many candidates is best by chance as well; without a test a search would return noise, and call it progress.
This file knows comparisons; it must not know how candidates came about.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import dspy

from ...programs.program import Program
from ..evaluation.work import program_digest
from ..metrics import Comparison, TaskMetric, compare
from .bench import Row
from .report import PartReport
from .trials import Trial

SURE = 0.95
"""Share of the resamples in which the winner has to be better on the dev records."""

FEWEST = 5
"""Situations without which the winner is not kept: with fewer no paired test can reach 5%."""

MOST_FAILED = 0.05
"""Share of the dev records above which nothing is decided: those that were answered may be the easy ones."""


def too_many_failed(trials: Iterable[Trial]) -> bool:
    """Whether programs failed so often in a search that its winner says little."""
    made = list(trials)
    return sum(trial.failed for trial in made) > MOST_FAILED * sum(trial.n for trial in made)


def refusal(winner: Program, student: Program, dev: PartReport, metric: TaskMetric, stopped: bool) -> str:
    """Why the winner is not kept; empty where it is.

    Args:
        winner: What the search found.
        student: What it began with.
        dev: The winner against the student.
        metric: What the comparison is by.
        stopped: Whether the budget ended the search.
    """
    if not differs(winner, student):
        return "nothing better was found" + (" before the budget was spent" if stopped else "")
    found, failed = dev.comparison, max(dev.failed_before, dev.failed_after)
    if failed > MOST_FAILED * dev.records:
        return (
            f"of {dev.records} dev records the student failed on {dev.failed_before} and the best candidate on"
            f" {dev.failed_after}; above {MOST_FAILED:.0%} nothing is decided, and where that was a server's fault,"
            " compile again: what was answered stays"
        )
    if found.groups < FEWEST:
        return f"the dev records are of {found.groups} situations, and with fewer than {FEWEST} no test can be sure"
    better = found.difference > 0 if metric.higher_is_better else found.difference < 0
    if not better or found.favours_first < SURE:
        return (
            f"the best candidate is better on the dev records in {found.favours_first:.0%} of the resamples, and"
            f" {SURE:.0%} are asked for"
        )
    return ""


def differs(one: Program, other: Program) -> bool:
    """Whether two programs would be asked in different ways."""
    return program_digest(one) != program_digest(other)


def compared(
    metric: TaskMetric, examples: Sequence[dspy.Example], first: Sequence[Row], second: Sequence[Row], seed: int
) -> Comparison:
    """Compare two answers to the same examples, the first minus the second, where neither failed."""
    return compare(
        [row.counted for row in first],
        [row.counted for row in second],
        metric.groups(examples),
        higher_is_better=metric.higher_is_better,
        seed=seed,
    )
