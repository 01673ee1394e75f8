"""What a community brings: a task's metric with it in the pool and without it, on the same records.

What a community says does not depend on who else is in the pool, so every message is asked for once where LMs keep what
they have answered. This file knows programs and metrics; it must not know tasks, files or terminals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass

import dspy
import numpy as np

from ..programs.mode import Mode
from .metrics import Comparison, Figure, TaskMetric, compare, mean_figure

WORKERS = 16

Examples = Sequence[dspy.Example]


@dataclass(frozen=True)
class Effect:
    """What one community brings.

    Attributes:
        community: Its name.
        without: The metric's figure without it.
        difference: With it minus without it, record by record.
        by_attribute: The same for the records of each attribute; empty where the records have none.
        share: Share of the records whose score it changes.
    """

    community: str
    without: Figure
    difference: Comparison
    by_attribute: Mapping[str, Comparison]
    share: float


@dataclass(frozen=True)
class Effects:
    """What some communities bring to a pool.

    Attributes:
        metric: What is measured, and whether more of it is better.
        whole: Its figure with the whole pool.
        effects: One for each community.
    """

    metric: TaskMetric
    whole: Figure
    effects: tuple[Effect, ...]


def measure_effects(
    program: Mode,
    names: Iterable[str],
    examples: Examples,
    metric: TaskMetric,
    *,
    workers: int = WORKERS,
    on_answer: Callable[[], None] = lambda: None,
) -> Effects:
    """Measure what each of some communities brings to a program.

    Args:
        program: What is measured, with the whole pool; it stays as it is.
        names: The communities that are taken out, one at a time.
        examples: The records, as `modplural.data` reads them.
        metric: What the program is measured by.
        workers: Records under way at the same time.
        on_answer: Called after each answer; there is one for each record with the whole pool and without each name.

    Raises:
        UnknownCommunityError: The pool has no community of such a name.
        ValueError: There is no record, or a pool would be empty.
    """
    if not examples:
        raise ValueError("an effect is measured on records, and there are none")
    if len(program.pool) < 2:
        raise ValueError("the pool has one community; without it nobody would be left to ask")
    smaller = {name: _without(program, name) for name in names}

    def score(measured: Mode) -> list[float]:
        def ask(example: dspy.Example) -> dspy.Prediction:
            prediction = measured(**example.inputs())
            on_answer()
            return prediction

        with ThreadPoolExecutor(workers) as together:
            return metric.rows(examples, list(together.map(ask, examples)))

    whole = score(program)
    effects = tuple(_effect(name, whole, score(left), examples, metric) for name, left in smaller.items())
    return Effects(metric, mean_figure(metric.primary, whole, metric.groups(examples)), effects)


def _without(program: Mode, name: str) -> Mode:
    left = deepcopy(program)
    left.pool.remove(name)
    return left


def _effect(
    name: str, whole: Sequence[float], without: Sequence[float], examples: Examples, metric: TaskMetric
) -> Effect:
    groups = metric.groups(examples)

    def difference(places: Sequence[int]) -> Comparison:
        return compare(
            [whole[place] for place in places],
            [without[place] for place in places],
            [groups[place] for place in places],
            higher_is_better=metric.higher_is_better,
        )

    of_attribute: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        if example.get("attribute"):
            of_attribute[example.attribute].append(place)
    changed = np.array(whole) != np.array(without)
    return Effect(
        name,
        mean_figure(metric.primary, without, groups),
        difference(range(len(examples))),
        {attribute: difference(places) for attribute, places in of_attribute.items()},
        float(changed.mean()),
    )
