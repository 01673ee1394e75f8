"""A task's metric as DSPy's optimizers call it, watched: a metric that keeps failing ends the search.

Optimizers take a metric that raises for a bad score, and would return an unimproved program without a word. This file
knows metrics; it must not know programs or strategies.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import dspy

from ..metrics import TaskMetric
from .ledger import Halt

TOLERATED = 2
"""Failures of a metric that are taken for bad luck, such as a judge that could not be reached."""

_logger = logging.getLogger(__name__)

Feedback = Callable[[dspy.Example, dspy.Prediction], str]
"""Says in words what is wrong with a prediction."""


class MetricFailedError(RuntimeError):
    """A metric fails on most of what it is given, so that no candidate could be told from another."""


class HopelessMetric(Halt):
    """The metric fails on most of what it is given."""

    def __init__(self, cause: Exception) -> None:
        """Remember the last failure."""
        super().__init__()
        self.cause = cause


class Objective:
    """Scores predictions for DSPy, from 0 to 1, higher being better; see `TaskMetric.__call__`."""

    def __init__(self, metric: TaskMetric) -> None:
        """Watch a metric."""
        self.metric = metric
        self.scored = 0
        self.failed = 0
        self._lock = threading.Lock()

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
        """Score a prediction.

        Raises:
            HopelessMetric: The metric failed, more often than not, and more often than is tolerated.
            Exception: Whatever the metric raises.
        """
        return self.watch(lambda: self.metric(example, prediction, trace))

    def row(self, example: dspy.Example, prediction: dspy.Prediction) -> float:
        """The score in the metric's own unit, NaN where the example is left out; raises as a call does."""
        return self.watch(lambda: self.metric.row(example, prediction))

    def watch(self, score: Callable[[], float]) -> float:
        """Count how a score comes about."""
        try:
            found = score()
        except Exception as error:
            with self._lock:
                self.failed += 1
                hopeless = self.failed > max(TOLERATED, self.scored)
            if hopeless:
                raise HopelessMetric(error) from error
            _logger.warning("the metric failed on a prediction: %s", error)
            raise
        with self._lock:
            self.scored += 1
        return found


def metric_failed(metric: TaskMetric, halt: HopelessMetric) -> MetricFailedError:
    """The error that users see in the place of the signal."""
    return MetricFailedError(
        f"the metric of {metric.task} keeps failing ({type(halt.cause).__name__}: {halt.cause}), so no candidate can be"
        " told from another; mend it and compile again"
    )


class Explained:
    """An objective that says why as well, as GEPA wants it: five arguments, `Prediction(score, feedback)`."""

    def __init__(self, objective: Objective, feedback: Feedback) -> None:
        """Explain the scores of an objective."""
        self._objective = objective
        self._feedback = feedback

    def __call__(
        self,
        gold: dspy.Example,
        pred: dspy.Prediction,
        trace: object = None,
        pred_name: str | None = None,
        pred_trace: object = None,
    ) -> dspy.Prediction:
        """Score a prediction. The trace is ignored: where there is one, DSPy's own convention wants a yes or no."""
        return dspy.Prediction(score=self._objective(gold, pred), feedback=self._feedback(gold, pred))
