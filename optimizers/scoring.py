"""Scoring a file in the common format, whatever tool has filled it, and comparing two of them on the same records.

A figure is over what was answered; how much was is a figure of its own, so that a tool that leaves out what is hard
cannot hide it. This file must not know terminals.
"""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from ..data import Record, RecordFile, read_records
from .breakdown import breakdown
from .metrics import Comparison, Figure, PairwiseJudge, Scorer, TaskMetric, compare, mean_figure, metric_for
from .written_answers import Answers, read_answers

JUDGED = "overton-judge"
"""The task whose metric is a comparison itself."""

ANSWERED = "share answered"

_DIGITS = 6
"""To how many places of a decimal numbers are the same."""


@dataclass(frozen=True)
class ScoredFile:
    """A file of answers with its scores.

    Attributes:
        records: The file.
        answers: What could be read of it.
        metric: What it was scored with.
        examples: The readable records, in order.
        rows: Score of each example; NaN where there is no answer, or the record is left out.
        figures: By name; with the share of the records that are answered.
        parts: The primary figure of each population, the worst first; see `breakdown`.
    """

    records: RecordFile
    answers: Answers
    metric: TaskMetric
    examples: Sequence[dspy.Example]
    rows: Sequence[float]
    figures: Mapping[str, Figure]
    parts: Mapping[str, Figure]


@dataclass(frozen=True)
class ComparedFiles:
    """A comparison of two files, and the numbers of records that only one of them holds."""

    comparison: Comparison
    only_first: int
    only_second: int


def score_file(
    path: str | Path,
    task: str | None = None,
    scorer: Scorer | None = None,
    *,
    judge: PairwiseJudge | None = None,
    baseline: str | Path | None = None,
) -> ScoredFile:
    """Score a file.

    Args:
        path: Records in the common format, with answers.
        task: A name in `modplural.data.TASKS`; where it is None, most of the records show it.
        scorer: What scores value coverage; sentence embeddings where it is None.
        judge: What compares responses, for `overton-judge`.
        baseline: The file whose responses they are compared with, for `overton-judge`.

    Raises:
        RecordFileError: A file cannot be read as records of the task.
        ValueError: There is no such task, or it needs a judge or a baseline.
    """
    records = read_records(path, task)
    responses = None
    if baseline is not None and records.task.name == JUDGED:
        responses = _responses(records, read_records(baseline, task))
    metric = metric_for(records.task.name, scorer, judge=judge, baseline=responses)
    answers = read_answers(records)
    examples = records.examples()
    predictions = [answers.predictions.get(index) for index in records.records]
    answered = [float(prediction is not None) for prediction in predictions]
    if responses is not None:
        predictions = _comparable(examples, predictions, responses)
    rows = metric.rows(examples, predictions)
    figures = metric.summary(examples, predictions, rows)
    figures[ANSWERED] = mean_figure(ANSWERED, answered, metric.groups(examples))
    return ScoredFile(records, answers, metric, examples, rows, figures, breakdown(metric, examples, rows))


def compare_files(first: ScoredFile, second: ScoredFile) -> ComparedFiles:
    """Compare two tools on the records that both have answered, in whatever order their files have them.

    Raises:
        ValueError: The files are of different tasks, or share no record.
    """
    names = [scored.records.task.name for scored in (first, second)]
    if names[0] != names[1]:
        raise ValueError(f"{second.records.path} holds records of {names[1]}, and {first.records.path} of {names[0]}")
    scores, others = _keyed(first), _keyed(second)
    shared = [key for key in scores if key in others]
    if not shared:
        raise ValueError(
            f"{first.records.path} and {second.records.path} have no record in common, so that nothing can be paired."
            " Name two files that were made of the same records"
        )
    groups = dict(zip(scores, first.metric.groups(first.examples), strict=True))
    comparison = compare(
        [scores[key] for key in shared],
        [others[key] for key in shared],
        [groups[key] for key in shared],
        higher_is_better=first.metric.higher_is_better,
    )
    return ComparedFiles(comparison, len(scores) - len(shared), len(others) - len(shared))


def _responses(records: RecordFile, baseline: RecordFile) -> dict[str, str]:
    """A baseline's responses by the queries of other records, which may be worded in another way.

    Raises:
        ValueError: It has none to any of them.
    """
    answers = read_answers(baseline).predictions
    given = {_content(baseline.records[index]): prediction.response for index, prediction in answers.items()}
    queries = {_content(record): record.example().query for record in records.records.values()}
    found = {query: given[content] for content, query in queries.items() if content in given}
    if not found:
        raise ValueError(f"{baseline.path} has no response to any record of {records.path}; run it over the same ones")
    return found


def _comparable(
    examples: Sequence[dspy.Example], predictions: Sequence[dspy.Prediction | None], responses: Mapping[str, str]
) -> list[dspy.Prediction | None]:
    """The predictions that a baseline has a response beside."""
    pairs = zip(examples, predictions, strict=True)
    return [prediction if example.query in responses else None for example, prediction in pairs]


def _keyed(scored: ScoredFile) -> dict[tuple[str, int], float]:
    """Score by what a record asks and holds as gold; of records that are the same, the first, the second and so on.

    The prompt is no part of it: tools word their own. Nor is it told apart how a number is written.
    """
    seen: dict[str, int] = defaultdict(int)
    keyed: dict[tuple[str, int], float] = {}
    for record, row in zip(scored.records.records.values(), scored.rows, strict=True):
        content = _content(record)
        keyed[content, seen[content]] = row
        seen[content] += 1
    return keyed


def _content(record: Record) -> str:
    kept = record.model_dump(exclude={"input"}) | {"id": str(record.id)}
    return json.dumps({name: _rounded(value) for name, value in kept.items()}, sort_keys=True)


def _rounded(value: Any) -> Any:
    """A value whose numbers are what is left of them in 32 bits."""
    if isinstance(value, list):
        return [_rounded(one) for one in value]
    return round(value, _DIGITS) if isinstance(value, float) else value
