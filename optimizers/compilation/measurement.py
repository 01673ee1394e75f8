"""Chooses how each choice of a program is measured, and calibrates it.

One predictor after the other: every strategy that the base LLM's backend can measure answers the examples once, unless
it loses the heat over the first of them (see `heats`). The final choice is calibrated with no LM asked again. Of a
choice in between the records know no gold: the selection of a message is judged on situations where it is known which
message is right (see `selection`), and the routing of a mixture of experts by what it leads to. Where communities are
pooled, both ways to pool are tried with each calibration. All is fitted and chosen on the train examples, so that the
dev examples judge a single winner.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from functools import partial
from typing import ClassVar, cast

import dspy

from ...programs.asking import CannotMeasureError
from ...programs.program import Program
from ...programs.steerable import Steerable
from ..journal import RunError
from .heats import heats, still_in
from .selection import QUESTIONS, selection_scores, selections
from .strategy import Strategy, Work
from .used import used_predictors
from .ways import Shaped, Way, choices, strategies, ways

SELECT, ROUTE = "select", "route"
"""Predictors whose choice is no answer."""

_logger = logging.getLogger(__name__)


class ChooseMeasurement(Strategy):
    """Tries all ways to measure; that of the student stays where others are no better."""

    name: ClassVar = "measurement"
    chooses_on_dev: ClassVar = False

    def check(self, student: Program) -> None:
        """Refuse programs without a measured choice."""
        if not dict(choices(student)):
            raise ValueError(f"{type(student).__name__} measures no choice; 'measurement' is for programs with options")

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Every strategy of every choice once over the train examples, or over the questions that it is judged on."""
        tried = {name: len(strategies(student, name)) for name, _ in choices(student)}
        selecting = (1 + tried.pop(SELECT)) * QUESTIONS if SELECT in tried else 0
        return Work((1 + sum(tried.values())) * train, choices=selecting)

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Choose for one predictor after the other, those in between first."""
        used = used_predictors(student, valset[0])
        names = sorted(
            (name for name, _ in choices(student) if name in used), key=lambda one: one not in (SELECT, ROUTE)
        )
        best = student
        for name in names:
            if name == SELECT:
                best = self._selecting(best)
                self.offer(-math.inf, best)  # other examples scored it: any answer to those that follow counts more
            else:
                self._choosing(ways(best, name), trainset)
                best = self.best
        return best

    def _selecting(self, student: Program) -> Program:
        """The student with the best way to select a message; its own where others are no better."""
        first, rest = heats(selections("train", self.bench.seed, data=self.bench.selection), self.bench.seed)
        running = {way.what: way for way in ways(student, SELECT)}
        scores: dict[str, list[float]] = {}
        for what, way in running.items():
            try:
                scores[what] = self._selects(way, first, [])
            except CannotMeasureError as error:
                _logger.info("%s cannot be measured: %s", what, error)
        left = still_in(scores, [question.query for question in first], self.bench.seed)
        if rest and len(left) > 1:
            scores.update({what: self._selects(running[what], rest, scores[what]) for what in left})
        best = max(left, key=lambda what: self.bench.goodness(scores[what]), default=None)
        return student if best is None else running[best].program

    def _selects(self, way: Way, questions: list[dspy.Example], known: list[float]) -> list[float]:
        """Whether the right message is selected, 1 or 0 by question, after what is known of earlier ones."""
        found = list(known)

        def ask() -> list[float]:
            found.extend(selection_scores(cast(Steerable, way.program), questions, self.bench.threads))
            return found

        self.bench.attempt(self.name, way.what, len(known) + len(questions), ask)
        return found

    def _choosing(self, tried: list[Way], examples: list[dspy.Example]) -> None:
        """Offer every way to measure a choice: the first one, the student's own, and others that survive the heat."""
        first, rest = heats(examples, self.bench.seed)
        own, *others = tried
        self._answer(own, [*first, *rest])
        self._offer_all(own)
        running = [way for way in others if self._can_answer(way, first)]
        if rest:
            scores = {way.what: self._at_best(way, len(first)) for way in (own, *running)}
            left = still_in(scores, self.bench.metric.groups(first), self.bench.seed)
            running = [way for way in running if way.what in left]
        for way in running:
            if rest:
                self._answer(way, rest)
            self._offer_all(way)

    def _answer(self, way: Way, examples: list[dspy.Example]) -> None:
        """Answer further examples, and keep a trial of all so far."""

        def ask() -> list[float]:
            way.rows.extend(self.bench.answer(way.program, examples))
            way.examples.extend(examples)
            return [row.score for row in way.rows]

        way.score = self.bench.attempt(self.name, way.what, len(way.rows) + len(examples), ask)

    def _can_answer(self, way: Way, examples: list[dspy.Example]) -> bool:
        try:
            self._answer(way, examples)
        except RunError as error:
            _logger.info("%s cannot be measured: %s", way.what, error)
            return False
        return True

    def _offer_all(self, way: Way) -> None:
        """Offer a way as it is, and by every calibration."""
        self.offer(way.score, way.program)
        for found in self._calibrated(way):
            value = self.bench.attempt(self.name, found.what, len(way.rows), partial(list, found.scores))
            self.offer(value, found.program)

    def _at_best(self, way: Way, first: int) -> list[float]:
        """What a way gains on its first examples by its best calibration, higher being better; NaN where it failed."""
        rows = way.rows[:first]
        shaped: list[Sequence[float]] = [[row.score for row in rows]]
        shaped.extend(found.scores for found in self._calibrated(way, first))
        sign = 1 if self.bench.metric.higher_is_better else -1
        best: Sequence[float] = max(shaped, key=self.bench.goodness)
        pairs = zip(rows, best, strict=True)
        return [math.nan if row.prediction is None else sign * score for row, score in pairs]

    def _calibrated(self, way: Way, first: int | None = None) -> Iterator[Shaped]:
        return iter(()) if way.choice == ROUTE else way.calibrated(self.bench.metric, first)
