"""Whether the winner of a search is kept: only where a paired test on the dev records says that it is better.

The best of many candidates is best by chance as well; without a test a search would return noise, and call it progress.
This file knows comparisons; it must not know how candidates came about.
"""

from __future__ import annotations

from collections.abc import Sequence

import dspy

from ...programs.program import Program
from ..evaluation.work import program_digest
from ..metrics import Comparison, TaskMetric, compare
from .bench import Row

SURE = 0.95
"""Share of the resamples in which the winner has to be better on the dev records."""

FEWEST = 5
"""Situations without which the winner is not kept: with fewer no paired test can reach 5%."""


def refusal(winner: Program, student: Program, found: Comparison, metric: TaskMetric, stopped: bool) -> str:
    """Why the winner is not kept; empty where it is."""
    if not differs(winner, student):
        return "nothing better was found" + (" before the budget was spent" if stopped else "")
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
    """Compare two answers to the same examples, the first minus the second."""
    return compare(
        [row.score for row in first],
        [row.score for row in second],
        metric.groups(examples),
        higher_is_better=metric.higher_is_better,
        seed=seed,
    )
