"""Single rows of an evaluation as reports show them: what was asked, what is gold, what was predicted and heard.

This file knows records and predictions; it must not know figures or how anything is drawn.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy

from ...programs.messages import Message
from ..faithfulness import Faithfulness
from .result import EvaluatedRow

SHOWN = 3
"""Worst rows that are shown, and best ones."""


@dataclass(frozen=True)
class ShownRow:
    """One row with its gold.

    Attributes:
        index: Position among the task's records.
        id: The record's own id.
        score: By the task's metric.
        query: What was asked.
        attribute: Of whom or for what; None where nobody was named.
        gold: The right answer: an option, a distribution, or for a response the explanation of each value.
        predicted: The answer: an option, a distribution or a response.
        coverage: How well a response covers each value; empty where that was not measured.
        selected: The community whose message was selected; None where none was.
        messages: What the communities said.
        faithfulness: What a response reflects of the messages; None where that was not measured.
    """

    index: int
    id: int | str
    score: float
    query: str
    attribute: str | None
    gold: str | Mapping[str, float] | Mapping[str, str]
    predicted: str | Mapping[str, float]
    coverage: Mapping[str, float]
    selected: str | None
    messages: tuple[Message, ...]
    faithfulness: Faithfulness | None


def shown_row(
    row: EvaluatedRow, example: dspy.Example, coverage: Mapping[str, float], faithful: Faithfulness | None
) -> ShownRow:
    """Put a row and its gold together."""
    prediction = row.prediction or {}
    return ShownRow(
        index=row.index,
        id=row.id,
        score=row.score,
        query=example.query,
        attribute=example.get("attribute") or example.get("group"),
        gold=gold_of(example),
        predicted=predicted_of(example, prediction),
        coverage=coverage,
        selected=prediction.get("selected"),
        messages=messages_of(prediction),
        faithfulness=faithful,
    )


def worst_and_best(rows: Sequence[EvaluatedRow], *, higher_is_better: bool) -> tuple[list[EvaluatedRow], ...]:
    """The rows with the worst scores, the worst first, and those with the best, the best first; none is in both."""
    scored = [row for row in rows if row.prediction is not None and not math.isnan(row.score)]
    sign = 1 if higher_is_better else -1
    scored.sort(key=lambda row: (sign * row.score, row.index))
    count = min(SHOWN, (len(scored) + 1) // 2)
    return scored[:count], scored[max(count, len(scored) - count) :][::-1]


def gold_of(example: dspy.Example) -> str | Mapping[str, float] | Mapping[str, str]:
    """The right answer to a record of any task."""
    if "gold_distribution" in example:
        return dict(example.gold_distribution)
    if "explanation" in example:
        return dict(zip(example.vrd, example.explanation, strict=True))
    return str(example.option)


def predicted_of(example: dspy.Example, prediction: Mapping[str, Any]) -> str | Mapping[str, float]:
    """The answer, of the same kind as the record's gold."""
    if "gold_distribution" in example:
        return {option: float(prediction["probabilities"][option]) for option in example.gold_distribution}
    return str(prediction["response"] if "explanation" in example else prediction["option"])


def messages_of(prediction: Mapping[str, Any]) -> tuple[Message, ...]:
    """What a program heard from communities before it answered; empty where it asked none."""
    return tuple(Message(str(one["community"]), str(one["text"])) for one in prediction.get("messages") or ())
