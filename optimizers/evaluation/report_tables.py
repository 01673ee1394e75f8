"""An evaluation as tables of texts, for terminals; other reports stand beside this file and read the same object.

This file knows what a reader needs beside a figure; it must not know how a table is drawn.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from ..metrics import Figure
from .result import EvaluatedTask, Evaluation, MethodFigures

BESIDE = (
    "share above 0.33",
    "balanced accuracy",
    "macro-F1",
    "binary accuracy",
    "win",
    "tie",
    "loss",
    "most likely match",
    "words",
)
"""Figures that are shown beside a task's primary one, where it has them; the others are in the JSON."""


class Table(NamedTuple):
    """A table of texts; every row has one for each column."""

    title: str
    columns: list[str]
    rows: list[list[str]]


def figure_tables(evaluation: Evaluation) -> list[Table]:
    """One table for each task: its methods, their primary figure with its interval, and what belongs beside it."""
    return [_figure_table(evaluation, task) for task in evaluation.tasks]


def comparison_table(evaluation: Evaluation) -> Table | None:
    """Every method against the reference, where there was one."""
    if not evaluation.comparisons:
        return None
    rows = [
        [
            one.task,
            one.method,
            _signed(one.comparison.difference, one.comparison.low, one.comparison.high),
            f"{one.comparison.favours_first:.0%}" if one.comparison.n else "",
            _p_value(one.corrected),
            str(one.comparison.n),
        ]
        for one in evaluation.comparisons
    ]
    title = f"Against {evaluation.comparisons[0].against}, on the same rows (p corrected after Holm)"
    return Table(title, ["task", "method", "difference", "better", "p", "n"], rows)


def token_table(evaluation: Evaluation) -> Table | None:
    """What was asked of each LM; the price where it is known."""
    if not evaluation.tokens:
        return None
    rows = [
        [
            model,
            f"{tokens.calls:,}",
            f"{tokens.input:,}",
            f"{tokens.output:,}",
            f"${evaluation.costs[model]:.2f}" if model in evaluation.costs else "not known",
        ]
        for model, tokens in evaluation.tokens.items()
    ]
    return Table(
        "Asked of LMs so far, answers from DSPy's cache left out",
        ["LM", "calls", "tokens in", "tokens out", "price"],
        rows,
    )


def failure_table(evaluation: Evaluation) -> Table | None:
    """What failed, by the reason; nothing where all went well."""
    reasons: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for row in evaluation.failed:
        reasons[row.task, row.method, str(row.error)].append(row.index)
    rows = [
        [task, method, ", ".join(map(str, indices[:8])) + ("..." if len(indices) > 8 else ""), why]
        for (task, method, why), indices in reasons.items()
    ]
    title = f"{len(evaluation.failed)} of {len(evaluation.rows)} rows failed ({evaluation.share_failed:.1%})"
    return Table(title, ["task", "method", "rows", "why"], rows) if rows else None


def _figure_table(evaluation: Evaluation, task: EvaluatedTask) -> Table:
    of_task = [found for found in evaluation.figures if found.task == task.name]
    beside = [name for name in BESIDE if name != task.primary and any(name in found.figures for found in of_task)]
    failed = ["failed"] if any(found.failed for found in of_task) else []
    rows = [[*_cells(found, task.primary, beside), *([str(found.failed)] if failed else [])] for found in of_task]
    return Table(_title(task), ["method", task.primary, "n", *beside, *failed], rows)


def _cells(found: MethodFigures, primary: str, beside: list[str]) -> Iterator[str]:
    figure = found.figures[primary]
    yield found.method
    yield _interval(figure)
    yield str(figure.n)
    for name in beside:
        yield _value(name, found.figures[name].value) if name in found.figures else ""


def _title(task: EvaluatedTask) -> str:
    better = "higher is better" if task.higher_is_better else "lower is better"
    scorer = f", scored by {task.scorer}" if task.scorer else ""
    part = f", split {task.split}" if task.split else ""
    records = f"{task.records} record{'' if task.records == 1 else 's'}"
    return f"{task.name}: {records}{part}, {better}{scorer}"


def _interval(figure: Figure) -> str:
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" if figure.n else "no row"


def _signed(value: float, low: float, high: float) -> str:
    return "no row has both" if math.isnan(value) else f"{value:+.3f} [{low:+.3f}, {high:+.3f}]"


def _value(name: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if name == "words" else f"{value:.3f}"


def _p_value(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.3f}" if value >= 0.001 else "< 0.001"
