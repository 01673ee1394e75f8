"""Chooses how each choice of a program is measured, and calibrates it.

One predictor after the other: every strategy that the base LLM's backend can measure answers the examples once. The
final choice is calibrated with no LM asked again. Of a choice in between the records know no gold: the selection of a
message is judged on situations where it is known which message is right (see `selection`), and the routing of a mixture
of experts by what it leads to. Where communities are pooled, both ways to pool are tried with each calibration. All is
fitted and chosen on the train examples, so that the dev examples judge a single winner.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, cast

import dspy

from ...programs.asking import CannotMeasureError
from ...programs.choice import MeasuredChoice
from ...programs.distributional import METHODS, Distributional
from ...programs.measurement import Measurement
from ...programs.program import Program
from ...programs.steerable import Steerable
from ..journal import RunError
from .bench import Row
from .calibration import calibrations, score_with
from .selection import QUESTIONS, selection_scores, selections
from .strategy import Candidate, Strategy, Work
from .used import used_predictors
from .voices import chosen, rescored

COSTLY = ("sampled", "verbalized")
"""Strategies that write replies: many times the work, so they are tried only where nothing else can be measured."""

_logger = logging.getLogger(__name__)

SELECT, ROUTE = "select", "route"
"""Predictors whose choice is no answer."""


class ChooseMeasurement(Strategy):
    """Tries all ways to measure; that of the student stays where others are no better."""

    name: ClassVar = "measurement"
    chooses_on_dev: ClassVar = False

    def check(self, student: Program) -> None:
        """Refuse programs without a measured choice."""
        if not dict(_choices(student)):
            raise ValueError(f"{type(student).__name__} measures no choice; 'measurement' is for programs with options")

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Every strategy of every choice once over the train examples, or over the questions that it is judged on."""
        tried = {name: len(_strategies(student, predictor)) for name, predictor in _choices(student)}
        selecting = (1 + tried.pop(SELECT)) * QUESTIONS if SELECT in tried else 0
        return Work((1 + sum(tried.values())) * train, choices=selecting)

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Choose for one predictor after the other, those in between first."""
        used = used_predictors(student, valset[0])
        names = sorted(
            (name for name, _ in _choices(student) if name in used), key=lambda one: one not in (SELECT, ROUTE)
        )
        best = student
        for name in names:
            if name == SELECT:
                best = self._selecting(best)
                self.offer(-math.inf, best)  # other examples scored it: any answer to those that follow counts more
            else:
                self._choosing(best, name, trainset)
                best = self.best
        return best

    def _selecting(self, student: Program) -> Program:
        """The student with the best way to select a message; its own where others are no better."""
        own, others = self._measurements(student, SELECT)
        best = max([own, *others], key=partial(self._selects, student, self._questions()))
        return _measured(student, SELECT, best)

    def _questions(self) -> list[dspy.Example]:
        return selections("train", self.bench.seed, data=self.bench.selection)

    def _selects(self, student: Program, examples: Sequence[dspy.Example], measurement: Measurement) -> float:
        """How often the right message is selected when it is measured in this way."""
        candidate = cast(Steerable, _measured(student, SELECT, measurement))
        work = partial(selection_scores, candidate, examples, self.bench.threads)
        try:
            return self.bench.attempt(self.name, f"{SELECT}: {measurement.strategy}", len(examples), work)
        except CannotMeasureError as error:
            _logger.info("%s cannot be measured by %s: %s", SELECT, measurement.strategy, error)
            return -1.0

    def _measurements(self, student: Program, name: str) -> tuple[Measurement, list[Measurement]]:
        """How a predictor measures, and how else it could."""
        predictor = _predictor(student, name)
        own = predictor.measurement
        if own == Measurement():  # a calibration holds for one strategy, so "auto" is taken for what it stands for
            own = Measurement(predictor.strategy_for(student.base))
        found = [Measurement(strategy) for strategy in _strategies(student, predictor)]
        return own, [one for one in found if one != own]

    def _choosing(self, student: Program, name: str, examples: list[dspy.Example]) -> None:
        """Offer the student with every measurement of a choice, its own first."""
        own, others = self._measurements(student, name)
        self._offer_all(self._scored(student, name, own, examples))
        for measurement in others:
            try:
                self._offer_all(self._scored(student, name, measurement, examples))
            except RunError as error:
                _logger.info("%s cannot be measured by %s: %s", name, measurement.strategy, error)

    def _offer_all(self, candidates: Iterator[Candidate]) -> None:
        for score, program in candidates:
            self.offer(score, program)

    def _scored(
        self, student: Program, name: str, measurement: Measurement, examples: list[dspy.Example]
    ) -> Iterator[Candidate]:
        """The student with one measurement as it is, and calibrated."""
        candidate = _measured(student, name, measurement)
        rows: list[Row] = []

        def answer() -> list[float]:
            rows.extend(self.bench.answer(candidate, examples))
            return [row.score for row in rows]

        what = f"{name}: {measurement.strategy}"
        yield Candidate(self.bench.attempt(self.name, what, len(examples), answer), candidate)
        if name == ROUTE or measurement != Measurement(measurement.strategy):
            return  # fits are made on scores as they were measured
        for pooled in _pooled(candidate):
            yield from self._calibrated(pooled, name, what, examples, rows)

    def _calibrated(
        self, candidate: Program, name: str, what: str, examples: list[dspy.Example], rows: list[Row]
    ) -> Iterator[Candidate]:
        """A candidate by all calibrations that its answers tell."""
        method = candidate.pooling.value if isinstance(candidate, Distributional) else None
        answered = chosen(examples, rows, method)
        for found in calibrations(answered, self.bench.metric) if answered else ():
            score = partial(rescored, examples, rows, answered, partial(score_with, found, metric=self.bench.metric))
            told = ", ".join(filter(None, [what, method, str(found)]))
            value = self.bench.attempt(self.name, told, len(examples), score)
            strategy = _predictor(candidate, name).measurement.strategy
            measurement = Measurement(strategy, found.temperature, found.bias, found.sharpness)
            yield Candidate(value, _measured(candidate, name, measurement))


def _pooled(candidate: Program) -> Iterator[Program]:
    """A program that pools, by every method, since the best calibration depends on it; any other one as it is."""
    if not isinstance(candidate, Distributional):
        yield candidate
        return
    for method in METHODS:
        copied = cast(Distributional, candidate.deepcopy())
        copied.pooling.value = method
        yield copied


def _choices(program: Program) -> Iterator[tuple[str, MeasuredChoice]]:
    """The program's own choices by name."""
    for name, predictor in program.named_predictors():
        if isinstance(predictor, MeasuredChoice):
            yield name, predictor


def _measured(program: Program, name: str, measurement: Measurement) -> Program:
    """A copy whose predictor measures in this way."""
    copied = program.deepcopy()
    _predictor(copied, name).measurement = measurement
    return copied


def _predictor(program: Program, name: str) -> MeasuredChoice:
    return dict(_choices(program))[name]


def _strategies(program: Program, predictor: MeasuredChoice) -> list[str]:
    usable = predictor.strategies(program.base)
    return [name for name in usable if name not in COSTLY] or list(usable)
