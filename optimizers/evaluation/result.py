"""What an evaluation found: rows, figures and comparisons, as objects and as JSON; reports are made of it.

This file must not know how anything was run or measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from ..metrics import Comparison, Figure
from .usage import Tokens


@dataclass(frozen=True)
class EvaluatedRow:
    """One record of a task, answered by one method.

    Attributes:
        task: The task's name.
        method: The method's name.
        index: Position among the task's records.
        id: The record's own id.
        record: Digest of the record.
        group: Digest of the situation or question that the record belongs to: what bootstraps draw together.
        prediction: What the program predicted, as JSON data: `response`, `option`, `probabilities`, `selected`,
            `messages` and whatever else it says; None where it failed.
        error: Why it failed; None where it did not.
        score: By the task's metric; NaN where the row failed or is left out.
        seconds: How long it took, with others under way at the same time; 0 where nobody had to be asked.
    """

    task: str
    method: str
    index: int
    id: int | str
    record: str
    group: str
    prediction: Mapping[str, Any] | None
    error: str | None
    score: float
    seconds: float


@dataclass(frozen=True)
class EvaluatedTask:
    """A task and what it was evaluated on.

    Attributes:
        name: The task's name.
        data: Where the records are from.
        split: Which part of them: `train`, `dev` or `test`; None where they were not split.
        digest: SHA-256 of the records, or of their file.
        records: Number of records.
        unreadable: Number of records that could not be read.
        primary: The figure that methods are compared by.
        higher_is_better: Whether a higher one is the better one.
        scorer: What scored the rows, where that could have been another one.
    """

    name: str
    data: str
    split: str | None
    digest: str
    records: int
    unreadable: int
    primary: str
    higher_is_better: bool
    scorer: str | None = None


@dataclass(frozen=True)
class MethodFigures:
    """The figures of one method on one task.

    Attributes:
        task: The task's name.
        method: The method's name.
        program: Digest of the program.
        figures: By name; the task's primary figure is the first.
        failed: Number of rows that failed; the figures are over the others.
    """

    task: str
    method: str
    program: str
    figures: Mapping[str, Figure]
    failed: int


@dataclass(frozen=True)
class PairedComparison:
    """A method against another one on the same rows of a task, by its primary figure.

    Attributes:
        task: The task's name.
        method: The method's name.
        against: The other method.
        figure: What is compared.
        comparison: The difference, method minus the other, and how sure it is.
        corrected: Its p-value, corrected for the number of comparisons (Holm 1979); NaN where no row has both.
    """

    task: str
    method: str
    against: str
    figure: str
    comparison: Comparison
    corrected: float


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        tasks: In the order they were given.
        rows: Every record by every method, task by task.
        figures: One for each task and method.
        comparisons: Every method against the reference, where that was evaluated as well.
        tokens: What was asked of each LM, by its model string, over all runs that led here.
        costs: What that cost in US dollars, where a price is known.
        settings: How it was run: the seed of comparisons, and the versions of what decides an answer.
    """

    tasks: tuple[EvaluatedTask, ...]
    rows: tuple[EvaluatedRow, ...]
    figures: tuple[MethodFigures, ...]
    comparisons: tuple[PairedComparison, ...]
    tokens: Mapping[str, Tokens]
    costs: Mapping[str, float]
    settings: Mapping[str, Any]

    @property
    def failed(self) -> tuple[EvaluatedRow, ...]:
        """The rows that failed."""
        return tuple(row for row in self.rows if row.error is not None)

    @property
    def share_failed(self) -> float:
        """Share of the rows that failed; 0 where there is none."""
        return len(self.failed) / len(self.rows) if self.rows else 0.0

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data; numbers that are none (NaN) become null."""
        return {
            "tasks": _plain([asdict(task) for task in self.tasks]),
            "figures": _plain([asdict(figures) for figures in self.figures]),
            "comparisons": _plain([asdict(comparison) for comparison in self.comparisons]),
            "tokens": {model: tokens._asdict() for model, tokens in self.tokens.items()},
            "costs": dict(self.costs),
            "share_failed": self.share_failed,
            "settings": _plain(dict(self.settings)),
            "rows": _plain([asdict(row) for row in self.rows]),
        }

    def encoded(self) -> bytes:
        """The JSON of it as UTF-8, one key a line, as a file."""
        return json.dumps(self.to_json(), indent=1, allow_nan=False).encode() + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
