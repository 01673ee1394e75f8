"""A task's metric: rows for comparisons, figures for reports, and a call for DSPy's optimizers.

This file must not know any task; `tasks` has the table of them.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import dspy
import numpy as np

from .figures import Figure

Examples = Sequence[dspy.Example]
Predictions = Sequence[dspy.Prediction | None]
Answered = Sequence[tuple[dspy.Example, dspy.Prediction]]
"""Examples with their predictions, without those that have none."""

Figures = dict[str, Figure]
Row = Callable[[dspy.Example, dspy.Prediction], float]

NAN = float("nan")


@dataclass(frozen=True)
class TaskMetric:
    """How one task is measured.

    Attributes:
        task: The task's name.
        primary: The name of the figure that methods are compared by.
        row: The score of one example and its prediction; NaN where the example is left out.
        figures: All figures, from what was answered and the rows' scores.
        good: Whether a row's score is good enough for its prediction to be shown as a demo.
        higher_is_better: Whether a higher score is the better one.
        highest: The highest score that a row can have.
        group: The field of an example that names the situation or question it belongs to.
    """

    task: str
    primary: str
    row: Row
    figures: Callable[[Answered, Sequence[float], Sequence[Hashable]], Figures]
    good: Callable[[float], bool]
    higher_is_better: bool = True
    highest: float = 1.0
    group: str = "query"

    def rows(self, examples: Examples, predictions: Predictions) -> list[float]:
        """Score each prediction.

        Args:
            examples: As `modplural.data` reads them.
            predictions: One each; None where there is none, because the program failed.

        Returns:
            One score each, NaN where the prediction is missing or the example is left out.

        Raises:
            ValueError: There are more of one than of the other.
        """
        pairs = zip(examples, predictions, strict=True)
        return [NAN if prediction is None else self.row(example, prediction) for example, prediction in pairs]

    def summary(self, examples: Examples, predictions: Predictions, rows: Sequence[float] | None = None) -> Figures:
        """Make the figures of a report, by name.

        Args:
            examples: As for `rows`.
            predictions: As for `rows`; how many are missing is for the report to say beside each figure's n.
            rows: The scores, where `rows` has given them already.
        """
        scores = self.rows(examples, predictions) if rows is None else rows
        triples = [
            (example, prediction, score)
            for example, prediction, score in zip(examples, predictions, scores, strict=True)
            if prediction is not None
        ]
        answered = [(example, prediction) for example, prediction, _ in triples]
        return self.figures(answered, [score for _, _, score in triples], self.groups([one for one, _ in answered]))

    def groups(self, examples: Examples) -> list[Hashable]:
        """Name the situation or question of each example: what bootstraps draw together."""
        return [example[self.group] for example in examples]

    def __call__(self, example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
        """Score one prediction for DSPy, from 0 to 1, higher being better.

        An example that is left out scores 0 for every program alike. Where there is a trace, a demo is being chosen,
        and the score is 1 or 0: good enough or not.
        """
        score = self.row(example, prediction)
        if np.isnan(score):
            return 0.0
        if trace is not None:
            return float(self.good(score))
        return score / self.highest if self.higher_is_better else 1 - score / self.highest
