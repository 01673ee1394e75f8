"""What a community brings: a task's metric with it in the pool and without it, on the same records.

What a community says does not depend on who else is in the pool, so every message is asked for once where LMs keep what
they have answered. A record that fails is left out of the pairs it would be in, and reported. This file knows programs
and metrics; it must not know tasks, files or terminals.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from copy import deepcopy
from dataclasses import dataclass, replace

import dspy
import numpy as np

from ..programs.mode import Mode
from .answering import failure_reason
from .journal import RunError
from .metrics import Comparison, Figure, TaskMetric, compare, mean_figure
from .metrics.comparison import FEWEST

WORKERS = 16
HOPELESS = 10
"""A measurement stops when so many records failed and none was answered: then it is not the records."""

Examples = Sequence[dspy.Example]

_NAN = float("nan")


@dataclass(frozen=True)
class Effect:
    """What one community brings.

    What is of fewer than `FEWEST` situations is measured and has no interval (NaN): resamples of one are all alike, and
    of few almost.

    Attributes:
        community: Its name.
        without: The metric's figure without it, on the records that are answered with it as well.
        difference: With it minus without it, record by record.
        by_attribute: The same for the records of each attribute; empty where the records have none.
        share: Share of the records whose score it changes; NaN where no record is answered both with it and without.
    """

    community: str
    without: Figure
    difference: Comparison
    by_attribute: Mapping[str, Comparison]
    share: float


@dataclass(frozen=True)
class FailedAnswer:
    """A record that was not answered.

    Attributes:
        record: The record's own id, or its place among the records where it has none.
        without: The community that the pool was without; None for the whole pool.
        reason: Why.
    """

    record: int | str
    without: str | None
    reason: str


@dataclass(frozen=True)
class Effects:
    """What some communities bring to a pool.

    Attributes:
        metric: What is measured, and whether more of it is better.
        whole: Its figure with the whole pool.
        effects: One for each community.
        failed: What was not answered, and so is in no pair.
    """

    metric: TaskMetric
    whole: Figure
    effects: tuple[Effect, ...]
    failed: tuple[FailedAnswer, ...] = ()


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
        RunError: No record is answered, by the whole pool or by a smaller one.
    """
    if not examples:
        raise ValueError("an effect is measured on records, and there are none")
    if len(program.pool) < 2:
        raise ValueError("the pool has one community; without it nobody would be left to ask")
    smaller = {name: _without(program, name) for name in names}
    failed: list[FailedAnswer] = []

    def score(measured: Mode, without: str | None) -> list[float]:
        found = _ask_all(measured, examples, workers, on_answer)
        failed.extend(_failures(found, examples, without))
        return metric.rows(examples, [None if isinstance(one, str) else one for one in found])

    whole = score(program, None)
    effects = tuple(_effect(name, whole, score(left, name), examples, metric) for name, left in smaller.items())
    return Effects(
        metric, _known_figure(mean_figure(metric.primary, whole, metric.groups(examples))), effects, tuple(failed)
    )


def _without(program: Mode, name: str) -> Mode:
    left = deepcopy(program)
    left.pool.remove(name)
    # No more can be asked for than there are.
    left.failures = replace(left.failures, at_least=min(left.failures.at_least, len(left.pool)))
    return left


def _ask_all(
    program: Mode, examples: Examples, workers: int, on_answer: Callable[[], None]
) -> list[dspy.Prediction | str]:
    """The prediction for each example, or why there is none."""

    def ask(example: dspy.Example) -> dspy.Prediction | str:
        try:
            return program(**example.inputs())
        except Exception as error:  # one record's failure is reported, whatever it is
            return failure_reason(program, error)

    together = ThreadPoolExecutor(workers, thread_name_prefix="modplural-effect")
    try:
        futures = [together.submit(copy_context().run, ask, example) for example in examples]
        answered, reasons = 0, list[str]()
        for future in as_completed(futures):
            on_answer()
            if isinstance(found := future.result(), str):
                reasons.append(found)
            else:
                answered += 1
            if not answered and len(reasons) >= min(HOPELESS, len(examples)):
                raise RunError(f"all of the first {len(reasons)} records failed, the last with: {reasons[-1]}")
        return [future.result() for future in futures]
    finally:
        together.shutdown(cancel_futures=True)


def _failures(
    found: Sequence[dspy.Prediction | str], examples: Examples, without: str | None
) -> Iterable[FailedAnswer]:
    for place, (one, example) in enumerate(zip(found, examples, strict=True)):
        if isinstance(one, str):
            yield FailedAnswer(example.get("id", place), without, one)


def _effect(
    name: str, whole: Sequence[float], without: Sequence[float], examples: Examples, metric: TaskMetric
) -> Effect:
    groups = metric.groups(examples)

    def difference(places: Sequence[int]) -> Comparison:
        return _known_difference(
            compare(
                [whole[place] for place in places],
                [without[place] for place in places],
                [groups[place] for place in places],
                higher_is_better=metric.higher_is_better,
            )
        )

    of_attribute: dict[str, list[int]] = defaultdict(list)
    for place, example in enumerate(examples):
        if example.get("attribute"):
            of_attribute[example.attribute].append(place)
    change = np.array(whole) - np.array(without)
    paired = ~np.isnan(change)
    return Effect(
        name,
        _known_figure(mean_figure(metric.primary, np.where(paired, without, _NAN).tolist(), groups)),
        difference(range(len(examples))),
        {attribute: difference(places) for attribute, places in of_attribute.items()},
        float((change[paired] != 0).mean()) if paired.any() else _NAN,
    )


def _known_figure(found: Figure) -> Figure:
    """The same without an interval where it is of too few situations for one."""
    return found if found.groups >= FEWEST else replace(found, low=_NAN, high=_NAN)


def _known_difference(found: Comparison) -> Comparison:
    """The same without what resamples tell where it is of too few situations for them."""
    if found.groups >= FEWEST:
        return found
    return replace(found, low=_NAN, high=_NAN, favours_first=_NAN, p_value=_NAN)
