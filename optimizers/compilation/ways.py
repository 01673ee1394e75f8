"""The ways in which a program's choices could be measured, and what each is worth by its best calibration.

This file knows programs and what they answered; it must not know in which order anything is tried.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import NamedTuple, cast

import dspy

from ...programs.choice import MeasuredChoice
from ...programs.distributional import METHODS, Distributional
from ...programs.measurement import Measurement
from ...programs.program import Program
from ..metrics import TaskMetric
from .bench import Row
from .calibration import calibrations, score_with
from .voices import chosen, rescored

COSTLY = ("sampled", "verbalized")
"""Strategies that write replies: many times the work, so they are tried only where nothing else can be measured."""


@dataclass
class Way:
    """One way to measure a choice.

    Attributes:
        program: A program that measures in this way.
        choice: The name of the predictor that chooses.
        what: What trials call it.
        examples: What was asked so far.
        rows: What was answered to these.
        score: The score of these from 0 to 1.
    """

    program: Program
    choice: str
    what: str
    examples: list[dspy.Example] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    score: float = 0.0

    def calibrated(self, metric: TaskMetric, first: int | None = None) -> Iterator[Shaped]:
        """The way by all calibrations that its answers tell, or the first so many of them."""
        measurement = dict(choices(self.program))[self.choice].measurement
        if measurement != Measurement(measurement.strategy):
            return  # fits are made on scores as they were measured
        examples, rows = self.examples[:first], self.rows[:first]
        for pooled in _pooled(self.program):
            method = pooled.pooling.value if isinstance(pooled, Distributional) else None
            answered = chosen(examples, rows, method)
            for found in calibrations(answered, metric) if answered else ():
                scores = rescored(examples, rows, answered, partial(score_with, found, metric=metric))
                told = ", ".join(filter(None, [self.what, method, str(found)]))
                yield Shaped(measured(pooled, self.choice, replace(measurement, **asdict(found))), told, scores)


class Shaped(NamedTuple):
    """A way by one calibration: the program, what trials call it, and its scores in the metric's own unit."""

    program: Program
    what: str
    scores: list[float]


def ways(student: Program, choice: str) -> list[Way]:
    """The student's own way to measure a choice, and then all others that its base LLM's backend can measure."""
    predictor = dict(choices(student))[choice]
    own = predictor.measurement
    if own == Measurement():  # a calibration holds for one strategy, so "auto" is taken for what it stands for
        own = Measurement(predictor.strategy_for(student.base))
    found = {f"{choice}: {own.strategy}": own}
    for strategy in strategies(student, choice):
        if (plain := Measurement(strategy)) != own:
            found[f"{choice}: {strategy}" + (", plain" if strategy == own.strategy else "")] = plain
    return [Way(measured(student, choice, one), choice, what) for what, one in found.items()]


def choices(program: Program) -> Iterator[tuple[str, MeasuredChoice]]:
    """The program's own measured choices by name."""
    for name, predictor in program.named_predictors():
        if isinstance(predictor, MeasuredChoice):
            yield name, predictor


def strategies(program: Program, choice: str) -> list[str]:
    """The strategies that are tried for a choice."""
    usable = dict(choices(program))[choice].strategies(program.base)
    return [name for name in usable if name not in COSTLY] or list(usable)


def measured(program: Program, choice: str, measurement: Measurement) -> Program:
    """A copy that measures a choice in this way."""
    copied = program.deepcopy()
    dict(choices(copied))[choice].measurement = measurement
    return copied


def _pooled(candidate: Program) -> Iterator[Program]:
    """A program that pools, by every method, since the best calibration depends on it; any other one as it is."""
    if not isinstance(candidate, Distributional):
        yield candidate
        return
    for method in METHODS:
        copied = cast(Distributional, candidate.deepcopy())
        copied.pooling.value = method
        yield copied
