"""What a report of an evaluation says, before any format: the evaluation's own numbers, and what needs its records.

Breakdowns, gold against predicted, coverage of each value, rows worth reading and faithfulness are made here. This file
must not know how anything is written or drawn.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import dspy

from ...data.drawing import part_of
from ..breakdown import breakdown
from ..faithfulness import DEFAULT_THRESHOLDS, Faithfulness, Thresholds, faithfulness
from ..faithfulness_table import FaithfulnessTable, faithfulness_table
from ..metrics import Figure, Scorer, mean_figure, metric_for, value_coverage
from .report_rows import ShownRow, messages_of, shown_row, worst_and_best
from .report_shares import Shares, shares_of
from .result import EvaluatedRow, EvaluatedTask, Evaluation, MethodFigures, PairedComparison
from .work import Plan


@dataclass(frozen=True)
class MethodReport:
    """One method on one task.

    Attributes:
        found: Its figures.
        parts: Its primary figure by population, the worst first; empty where records are about nobody in particular.
        values: Its coverage by value, the worst first; empty where that was not measured.
        shares: Gold against predicted; empty where there are no options.
        faithfulness: What its responses reflect of each community; None where that was not measured.
        worst: Its worst rows.
        best: Its best ones.
    """

    found: MethodFigures
    parts: Mapping[str, Figure]
    values: Mapping[str, Figure]
    shares: tuple[Shares, ...]
    faithfulness: FaithfulnessTable | None
    worst: tuple[ShownRow, ...]
    best: tuple[ShownRow, ...]


@dataclass(frozen=True)
class TaskReport:
    """One task: what it was evaluated on, every method, and the comparisons between them."""

    task: EvaluatedTask
    methods: tuple[MethodReport, ...]
    comparisons: tuple[PairedComparison, ...]


@dataclass(frozen=True)
class Report:
    """All that a report says."""

    evaluation: Evaluation
    tasks: tuple[TaskReport, ...]


def make_report(
    evaluation: Evaluation,
    plans: Sequence[Plan],
    scorer: Scorer | None = None,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> Report:
    """Put together what a report says.

    Args:
        evaluation: What was found.
        plans: What was evaluated; its records have the gold.
        scorer: Scores the coverage of single values, and faithfulness. Best the one of the evaluation, which remembers
            most of that; where it is None, reports go without.
        thresholds: See `faithfulness`.

    Raises:
        ValueError: A task of the evaluation is in no plan.
    """
    by_task = {plan.task: plan for plan in plans}
    if missing := [task.name for task in evaluation.tasks if task.name not in by_task]:
        raise ValueError(f"the plans are of {list(by_task)}; the report needs those of {', '.join(missing)} as well")
    return Report(
        evaluation,
        tuple(_task(evaluation, task, by_task[task.name], scorer, thresholds) for task in evaluation.tasks),
    )


def _task(
    evaluation: Evaluation, task: EvaluatedTask, plan: Plan, scorer: Scorer | None, thresholds: Thresholds
) -> TaskReport:
    examples = {index: record.example() for index, record in plan.records.records.items()}
    rows: dict[str, list[EvaluatedRow]] = defaultdict(list)
    for row in evaluation.rows:
        if row.task == task.name:
            rows[row.method].append(row)
    methods = tuple(
        _Method(task, found, examples, rows[found.method], scorer, thresholds).report()
        for found in evaluation.figures
        if found.task == task.name
    )
    return TaskReport(task, methods, tuple(one for one in evaluation.comparisons if one.task == task.name))


@dataclass(frozen=True)
class _Method:
    """One method's rows, and what can be found out about them."""

    task: EvaluatedTask
    found: MethodFigures
    examples: Mapping[int, dspy.Example]
    rows: Sequence[EvaluatedRow]
    scorer: Scorer | None
    thresholds: Thresholds

    def report(self) -> MethodReport:
        worst, best = worst_and_best(self.rows, higher_is_better=self.task.higher_is_better)
        return MethodReport(
            found=self.found,
            parts=self._parts(),
            values=self._values(),
            shares=shares_of([(self.examples[row.index], row.prediction or {}) for row in self._answered]),
            faithfulness=faithfulness_table(
                list(self._faithful.values()), [self._situation(index) for index in self._faithful]
            ),
            worst=tuple(map(self._shown, worst)),
            best=tuple(map(self._shown, best)),
        )

    @cached_property
    def _answered(self) -> list[EvaluatedRow]:
        return [row for row in self.rows if row.prediction is not None]

    @cached_property
    def _coverage(self) -> Mapping[int, Mapping[str, float]]:
        """By row, the coverage of each of its values."""
        if self.scorer is None:
            return {}
        found: dict[int, Mapping[str, float]] = {}
        for row in self._answered:
            example, response = self.examples[row.index], (row.prediction or {}).get("response")
            if response is not None and "explanation" in example:
                scores = value_coverage(str(response), example.explanation, self.scorer)
                found[row.index] = dict(zip(example.vrd, map(float, scores), strict=True))
        return found

    @cached_property
    def _faithful(self) -> Mapping[int, Faithfulness]:
        """By row, what a response reflects; without the rows that have no response or asked no community."""
        if self.scorer is None:
            return {}
        return {
            row.index: faithfulness(str(prediction["response"]), heard, self.scorer, self.thresholds)
            for row in self._answered
            if "response" in (prediction := row.prediction or {}) and (heard := messages_of(prediction))
        }

    def _parts(self) -> Mapping[str, Figure]:
        if not any(part_of(example) for example in self.examples.values()):
            return {}
        examples = [self.examples[row.index] for row in self.rows]
        return breakdown(metric_for(self.task.name), examples, [row.score for row in self.rows])

    def _values(self) -> Mapping[str, Figure]:
        scores: dict[str, list[tuple[float, str]]] = defaultdict(list)
        for index, coverage in self._coverage.items():
            for value, score in coverage.items():
                scores[value].append((score, self._situation(index)))
        name = self.scorer.name if self.scorer else None
        figures = {
            value: mean_figure(value, *map(list, zip(*rows, strict=True)), scorer=name)
            for value, rows in scores.items()
        }
        return dict(sorted(figures.items(), key=lambda found: (found[1].value, found[0])))

    def _situation(self, index: int) -> str:
        example = self.examples[index]
        return str(example.get("situation") or example.query)

    def _shown(self, row: EvaluatedRow) -> ShownRow:
        return shown_row(
            row, self.examples[row.index], self._coverage.get(row.index, {}), self._faithful.get(row.index)
        )
