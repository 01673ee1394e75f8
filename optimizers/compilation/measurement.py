"""Chooses how each choice of a program is measured, and calibrates it.

One predictor after the other: every strategy that the base LLM's backend can measure answers the examples once. The
final choice is calibrated on the train examples with no LM asked again; a choice in between, such as the selection of a
message, has no gold of its own and is judged by what it leads to. The best is chosen on train and dev examples
together, since all of them were answered, and a handful of dev examples would choose by chance.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from functools import partial
from typing import ClassVar, NamedTuple

import dspy

from ...programs.choice import MeasuredChoice
from ...programs.measurement import Measurement
from ...programs.program import Program
from ..journal import RunError
from .bench import Row
from .calibration import calibrations, score_with
from .strategy import Candidate, Strategy, Work
from .used import used_predictors
from .voices import chosen, rescored

COSTLY = ("sampled", "verbalized")
"""Strategies that write replies: many times the work, so they are tried only where nothing else can be measured."""

_logger = logging.getLogger(__name__)

_IN_BETWEEN = ("select", "route")
"""Predictors whose choice is no answer."""


class _Scored(NamedTuple):
    score: float
    measurement: Measurement


class ChooseMeasurement(Strategy):
    """Tries all ways to measure; that of the student stays where others are no better."""

    name: ClassVar = "measurement"

    def check(self, student: Program) -> None:
        """Refuse programs without a measured choice."""
        if not dict(_choices(student)):
            raise ValueError(f"{type(student).__name__} measures no choice; 'measurement' is for programs with options")

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Every strategy of every choice once over all examples."""
        tried = sum(len(_strategies(student, predictor)) for _, predictor in _choices(student))
        return Work((1 + tried) * (train + dev))

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Choose for one predictor after the other, those in between first."""
        used = used_predictors(student, valset[0])
        names = sorted((name for name, _ in _choices(student) if name in used), key=lambda one: one not in _IN_BETWEEN)
        best = student
        for name in names:
            score, best = self._chosen(best, name, trainset, valset)
            self.offer(score, best)
        return best

    def _chosen(
        self, student: Program, name: str, trainset: list[dspy.Example], valset: list[dspy.Example]
    ) -> Candidate:
        predictor = _predictor(student, name)
        own = predictor.measurement
        if own == Measurement():  # a calibration holds for one strategy, so "auto" is taken for what it stands for
            own = Measurement(predictor.strategy_for(student.base))
        candidates = list(self._scored(student, name, own, trainset, valset))
        others = [Measurement(strategy) for strategy in _strategies(student, predictor)]
        for measurement in (one for one in others if one != own):
            try:
                candidates += self._scored(student, name, measurement, trainset, valset)
            except RunError as error:
                _logger.info("%s cannot be measured by %s: %s", name, measurement.strategy, error)
        best = max(candidates, key=lambda one: one.score)
        copied = student.deepcopy()
        _predictor(copied, name).measurement = best.measurement
        return Candidate(best.score, copied)

    def _scored(
        self,
        student: Program,
        name: str,
        measurement: Measurement,
        trainset: list[dspy.Example],
        valset: list[dspy.Example],
    ) -> Iterator[_Scored]:
        """One measurement as it is, and calibrated."""
        candidate = student.deepcopy()
        _predictor(candidate, name).measurement = measurement
        examples = [*trainset, *valset]
        rows: list[Row] = []

        def answer() -> list[float]:
            rows.extend(self.bench.answer(candidate, examples))
            return [row.score for row in rows]

        what = f"{name}: {measurement.strategy}"
        yield _Scored(self.bench.attempt(self.name, what, len(examples), answer), measurement)
        if name in _IN_BETWEEN or measurement.temperature != 1 or measurement.bias:
            return  # fits are made on scores as they were measured
        metric, answered = self.bench.metric, chosen(examples, rows)
        fitted_on = chosen(trainset, rows[: len(trainset)])
        for found in calibrations(fitted_on, metric) if fitted_on else ():
            score = partial(rescored, examples, rows, answered, partial(score_with, found, metric=metric))
            value = self.bench.attempt(self.name, f"{what}, {found}", len(examples), score)
            yield _Scored(value, Measurement(measurement.strategy, found.temperature, found.bias))


def _choices(program: Program) -> Iterator[tuple[str, MeasuredChoice]]:
    """The program's own choices by name."""
    for name, predictor in program.named_predictors():
        if isinstance(predictor, MeasuredChoice):
            yield name, predictor


def _predictor(program: Program, name: str) -> MeasuredChoice:
    return dict(_choices(program))[name]


def _strategies(program: Program, predictor: MeasuredChoice) -> list[str]:
    usable = predictor.strategies(program.base)
    return [name for name in usable if name not in COSTLY] or list(usable)
