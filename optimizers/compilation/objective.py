"""A task's metric as DSPy's optimizers call it, watched: a metric that keeps failing ends the search.

This file knows metrics; it must not know programs or strategies.
"""

from __future__ import annotations

from collections.abc import Callable

import dspy

from ...programs.errors import reason
from ..metrics import TaskMetric
from .hopeless import MetricFailedError, Watch

Feedback = Callable[[dspy.Example, dspy.Prediction], str]
"""Says in words what is wrong with a prediction."""


class Objective:
    """Scores predictions for DSPy, from 0 to 1, higher being better; see `TaskMetric.__call__`."""

    def __init__(self, metric: TaskMetric) -> None:
        """Watch a metric."""
        self.metric = metric
        self.watch = Watch(self._told)

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
        """Score a prediction.

        Raises:
            Hopeless: The metric keeps failing.
            Exception: Whatever the metric raises.
        """
        return self.watch(lambda: self.metric(example, prediction, trace))

    def row(self, example: dspy.Example, prediction: dspy.Prediction) -> float:
        """The score in the metric's own unit, NaN where the example is left out; raises as a call does."""
        return self.watch(lambda: self.metric.row(example, prediction))

    def _told(self, error: Exception) -> MetricFailedError:
        return MetricFailedError(
            f"the metric of {self.metric.task} fails ({reason(error)}), so that no candidate can be told from another;"
            " mend it and compile again"
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
