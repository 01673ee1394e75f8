"""From results to figures and comparisons: what the metrics make of what was predicted.

This file knows metrics and results; it must not know how the results came about.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dspy

from ...programs.errors import reason
from ..answering import group_digest, record_digest
from ..journal import RunError
from ..metrics import Scorer, TaskMetric, compare, holm, metric_for
from .answers import as_prediction
from .judging import KeptJudge, Pair
from .result import EvaluatedRow, MethodFigures, PairedComparison
from .store import Result
from .work import Place, Plan, settled_prediction

COVERED = "overton-vk"
"""The task that a scorer is needed for."""

JUDGED = "overton-judge"
"""The task whose metric compares with the reference's responses, by a judge."""

Listener = Callable[[str, int, int], None]
"""Told what is being made (`scores` or `verdicts`), how many there are, and how many there will be."""


@dataclass(frozen=True)
class Measures:
    """What metrics need from outside.

    Attributes:
        scorer: Scores value coverage.
        judge: Compares responses; None where none does.
        reference: The method that the others are compared with.
        seed: Of the comparisons' resamples.
        workers: Verdicts under way at the same time.
    """

    scorer: Scorer
    judge: KeptJudge | None
    reference: str
    seed: int
    workers: int


@dataclass(frozen=True)
class ScoredTask:
    """One task's results, scored by its metric.

    Attributes:
        incomparable: Rows of the file that no method has a score for, since the reference has no response to compare
            with.
    """

    plan: Plan
    metric: TaskMetric
    results: Mapping[Place, Result]
    measures: Measures
    on_progress: Listener
    incomparable: frozenset[int] = frozenset()

    @cached_property
    def examples(self) -> list[dspy.Example]:
        """The records as the metric reads them, in their order."""
        return self.plan.records.examples()

    @cached_property
    def predictions(self) -> Mapping[str, list[dspy.Prediction | None]]:
        """By method, the prediction for every record; None where the program failed, or it could not be scored."""
        places = list(self.plan.records.records)
        return {
            method: [
                None if Place(self.plan.task, method, index) in self.unscored else prediction
                for index, prediction in zip(places, self._predicted(method), strict=True)
            ]
            for method in self.plan.programs
        }

    @property
    def scores(self) -> Mapping[str, list[float]]:
        """By method, the score of every record; NaN where there is none."""
        return self._scored[0]

    @property
    def unscored(self) -> Mapping[Place, str]:
        """Why predictions could not be scored, such as a judge that failed."""
        return self._scored[1]

    @cached_property
    def _scored(self) -> tuple[dict[str, list[float]], dict[Place, str]]:
        found: dict[str, list[float]] = {method: [] for method in self.plan.programs}
        unscored: dict[Place, str] = {}
        total = len(found) * len(self.examples)
        for method, scores in found.items():
            rows = zip(self.plan.records.records, self.examples, self._predicted(method), strict=True)
            for index, example, prediction in rows:
                try:
                    scores += self.metric.rows([example], [prediction])
                except Exception as error:  # one row's failure is reported, whatever it is
                    scores.append(float("nan"))
                    unscored[Place(self.plan.task, method, index)] = f"not scored: {self._reason(error)}"
                if self.plan.task == COVERED:  # where a large scorer takes longer than all LMs did
                    self.on_progress("scores", sum(map(len, found.values())), total)
        if unscored and len(unscored) == sum(one is not None for name in found for one in self._predicted(name)):
            raise RunError(f"no answer to {self.plan.task} could be scored; the last was {unscored.popitem()[1]}")
        return found, unscored

    def _predicted(self, method: str) -> list[dspy.Prediction | None]:
        return predictions_of(self.plan, self.results, method, self.incomparable)

    def _reason(self, error: Exception) -> str:
        lms = (getattr(one, "lm", None) for one in (self.measures.judge, self.measures.scorer))
        return reason(error, *(lm for lm in lms if lm is not None))

    @cached_property
    def rows(self) -> list[EvaluatedRow]:
        """Every record by every method."""
        return [
            self._row(method, index, score)
            for method, scores in self.scores.items()
            for index, score in zip(self.plan.records.records, scores, strict=True)
        ]

    @cached_property
    def figures(self) -> list[MethodFigures]:
        """The figures of every method."""
        return [
            MethodFigures(
                self.plan.task,
                method,
                self.plan.digests[method],
                self.metric.summary(self.examples, predictions, self.scores[method]),
                sum(row.error is not None for row in self.rows if row.method == method),
            )
            for method, predictions in self.predictions.items()
        ]

    def comparisons(self) -> list[PairedComparison]:
        """Every other method against the reference, where that is one of them; not corrected yet."""
        against = self.measures.reference
        if against not in self.scores:
            return []
        groups, reference = self.metric.groups(self.examples), self.scores[against]
        higher, seed = self.metric.higher_is_better, self.measures.seed
        return [
            PairedComparison(
                self.plan.task,
                method,
                against,
                self.metric.primary,
                compare(scores, reference, groups, higher_is_better=higher, seed=seed),
                float("nan"),
            )
            for method, scores in self.scores.items()
            if method != against
        ]

    def _row(self, method: str, index: int, score: float) -> EvaluatedRow:
        record, task = self.plan.records.records[index], self.plan.task
        group = group_digest(record.example()[self.metric.group])
        result = self.results.get(Place(task, method, index))
        if result is None:
            prediction, error, seconds = settled_prediction(record), None, 0.0
        else:
            prediction, error, seconds = dict(result.prediction or {}) or None, result.error, result.seconds
        error = error or self.unscored.get(Place(task, method, index))
        return EvaluatedRow(
            task, method, index, record.id, record_digest(record), group, prediction, error, score, seconds
        )


def score_task(plan: Plan, results: Mapping[Place, Result], measures: Measures, on_progress: Listener) -> ScoredTask:
    """Score one task's results.

    Args:
        plan: The task.
        results: At least those of this task.
        measures: What its metric may need.
        on_progress: Told of what takes a while.
    """
    if plan.task != JUDGED:
        return ScoredTask(plan, metric_for(plan.task, measures.scorer), results, measures, on_progress)
    assert measures.judge is not None
    queries = [example.query for example in plan.records.examples()]
    answered = zip(queries, predictions_of(plan, results, measures.reference), strict=True)
    baseline = {query: str(prediction.response) for query, prediction in answered if prediction is not None}
    rows = zip(plan.records.records, queries, strict=True)
    incomparable = frozenset(index for index, query in rows if query not in baseline)
    pairs = [
        Pair(query, str(prediction.response), baseline[query])
        for method in plan.programs
        for query, prediction in zip(queries, predictions_of(plan, results, method, incomparable), strict=True)
        if prediction is not None
    ]
    measures.judge.prepare(pairs, measures.workers, lambda done: on_progress("verdicts", done, len(pairs)))
    metric = metric_for(plan.task, judge=measures.judge, baseline=baseline)
    return ScoredTask(plan, metric, results, measures, on_progress, incomparable)


def corrected(comparisons: Sequence[PairedComparison]) -> tuple[PairedComparison, ...]:
    """The same comparisons with p-values that are corrected for how many there are."""
    names = {f"{one.task} {one.method}": one for one in comparisons}
    p_values = holm({name: one.comparison.p_value for name, one in names.items() if one.comparison.p_value >= 0})
    return tuple(
        PairedComparison(
            one.task, one.method, one.against, one.figure, one.comparison, p_values.get(name, float("nan"))
        )
        for name, one in names.items()
    )


def predictions_of(
    plan: Plan, results: Mapping[Place, Result], method: str, without: Collection[int] = ()
) -> list[dspy.Prediction | None]:
    """A method's prediction for every record, in their order; None where there is none, and for rows left out."""
    found: list[dspy.Prediction | None] = []
    for index, record in plan.records.records.items():
        result = results.get(Place(plan.task, method, index))
        data = settled_prediction(record) if result is None else result.prediction
        data = None if index in without else data
        found.append(None if data is None else as_prediction(data))
    return found
