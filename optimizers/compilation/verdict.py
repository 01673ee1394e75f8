"""Whether the winner of a search is kept: only where a paired test on the dev records says that it is better.

The best of many candidates is best by chance as well: the more there were, the surer the test has to be (Bonferroni).
Without one a search would return noise, and call it progress. This file knows comparisons; it must not know how
candidates came about.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Iterable, Sequence
from typing import NamedTuple

import dspy
import numpy as np
from scipy.stats import permutation_test

from ...programs.program import Program
from ..evaluation.work import program_digest
from ..metrics import Comparison, TaskMetric, compare
from .bench import Row
from .report import PartReport
from .trials import Trial

LEVEL = 0.05
"""How likely by chance the lead of a winner may be, where it was the only candidate."""

FEWEST = 5
"""Situations without which nothing is proved: flipping the signs of four, all of them lead once in sixteen times."""

MOST_FAILED = 0.05
"""Share of the dev records above which nothing is decided: those that were answered may be the easy ones."""

_FLIPS = 9_999


def too_many_failed(trials: Iterable[Trial]) -> bool:
    """Whether programs failed so often in a search that its winner says little."""
    made = list(trials)
    return sum(trial.failed for trial in made) > MOST_FAILED * sum(trial.n for trial in made)


class Proof(NamedTuple):
    """How sure it is that a winner is better.

    Attributes:
        chance: How likely its lead is where it is no better; see `chance`.
        candidates: How many there were on the same records.
    """

    chance: float
    candidates: int

    @property
    def level(self) -> float:
        """How likely it may be."""
        return LEVEL / max(1, self.candidates)

    @property
    def fewest(self) -> int:
        """Situations without which it could not be sure, however far the winner leads."""
        return max(FEWEST, math.ceil(-math.log2(self.level)))

    def __str__(self) -> str:
        tried = "one candidate" if self.candidates <= 1 else f"the best of {self.candidates} candidates"
        return f"p = {self.chance:.2g}, and of {tried} {self.level:.2g} is asked for"


def refusal(winner: Program, student: Program, dev: PartReport, proof: Proof, stopped: bool) -> str:
    """Why the winner is not kept; empty where it is.

    Args:
        winner: What the search found.
        student: What it began with.
        dev: The winner against the student.
        proof: That it is better.
        stopped: Whether the budget ended the search.
    """
    if not differs(winner, student):
        return "nothing better was found" + (" before the budget was spent" if stopped else "")
    groups, failed = dev.comparison.groups, max(dev.failed_before, dev.failed_after)
    if failed > MOST_FAILED * dev.records:
        return (
            f"of {dev.records} dev records the student failed on {dev.failed_before} and the best candidate on"
            f" {dev.failed_after}; above {MOST_FAILED:.0%} nothing is decided, and where that was a server's fault,"
            " compile again: what was answered stays"
        )
    if groups < proof.fewest:
        return f"the dev records are of {groups} situations, and with fewer than {proof.fewest} no test can be sure"
    if proof.chance > proof.level:
        return f"the best candidate may lead on the dev records by chance: {proof}"
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


def lead(
    metric: TaskMetric, examples: Sequence[dspy.Example], first: Sequence[Row], second: Sequence[Row], seed: int
) -> float:
    """How likely it is by chance that the first answers are so much better; see `chance`."""
    sign = 1 if metric.higher_is_better else -1
    gains = [sign * (one.counted - other.counted) for one, other in zip(first, second, strict=True)]
    return chance(gains, metric.groups(examples), seed)


def chance(gains: Sequence[float], groups: Sequence[Hashable], seed: int) -> float:
    """How likely so large a gain is where there is none: the share of sign flips that give as large a one.

    One-sided, over situations, whose signs flip whole; exact for few of them (Fisher 1935, The Design of Experiments,
    section 21).

    Args:
        gains: Of each row, NaN where it is left out.
        groups: Of each row, the situation that it belongs to.
        seed: Of the flips, where there are too many to try all.
    """
    sums: dict[Hashable, float] = {}
    for gain, group in zip(gains, groups, strict=True):
        if not math.isnan(gain):
            sums[group] = sums.get(group, 0.0) + gain
    values = np.array(list(sums.values()))
    if len(values) < 2 or not values.any():
        return 0.5 if values.sum() > 0 else 1.0
    flipped = permutation_test(
        (values,), np.sum, permutation_type="samples", n_resamples=_FLIPS, alternative="greater", rng=seed
    )
    return float(flipped.pvalue)
