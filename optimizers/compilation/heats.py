"""A heat before the race: what is certainly worse on some of the examples is not asked about the others.

Contestants that are close all go on, so that the heat only spares what it cannot get wrong often (Maron and Moore, NIPS
1993, Hoeffding races; here with the paired test that compilations decide by). This file knows scores; it must not know
what runs.
"""

from __future__ import annotations

import math
import random
from collections.abc import Hashable, Mapping, Sequence

import dspy

from .trials import mean
from .verdict import LEVEL, chance

FIRST = 30
"""Examples of the heat; where there are not twice as many, all run over all of them at once."""


def heats(examples: Sequence[dspy.Example], seed: int) -> tuple[list[dspy.Example], list[dspy.Example]]:
    """The examples of the heat, and the others; files are often sorted, so they are drawn by the seed."""
    order = random.Random(seed).sample(list(examples), len(examples))
    return (order[:FIRST], order[FIRST:]) if len(order) >= 2 * FIRST else (order, [])


def still_in(scores: Mapping[str, Sequence[float]], groups: Sequence[Hashable], seed: int) -> list[str]:
    """Who is not certainly worse than the best one, in the given order.

    Args:
        scores: Of each contestant, by example; higher is better, NaN where it is left out.
        groups: Of each example, the situation that it belongs to.
        seed: Of the test's random part.
    """
    if not scores:
        return []
    best = max(scores, key=lambda name: _mean(scores[name]))
    level = LEVEL / max(1, len(scores) - 1)

    def loses(name: str) -> bool:
        gains = [one - other for one, other in zip(scores[best], scores[name], strict=True)]
        return name != best and chance(gains, groups, seed) <= level

    return [name for name in scores if not loses(name)]


def _mean(scores: Sequence[float]) -> float:
    found = mean(scores)
    return -math.inf if math.isnan(found) else found
