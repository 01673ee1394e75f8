"""An evaluation as tables of texts, for terminals; other reports stand beside this file and read the same object.

This file knows what a reader needs beside a figure; it must not know how a table is drawn.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from typing import NamedTuple

from .report_format import difference_text, figure_text, p_text
from .result import EvaluatedTask, Evaluation, MethodFigures, PairedComparison

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
            difference_text(one.comparison),
            "" if math.isnan(one.comparison.favours_first) else f"{one.comparison.favours_first:.0%}",
            p_text(one),
            str(one.comparison.n),
        ]
        for one in evaluation.comparisons
    ]
    title = f"Against {evaluation.comparisons[0].against}, on the same rows (p corrected after Holm)"
    return Table(title, ["task", "method", "difference", "better", "p", "n"], rows)


def overview_table(evaluation: Evaluation, method: str) -> Table | None:
    """All tasks in one table: their primary figure by the reference and by one other method, and the difference."""
    compared = [one for one in evaluation.comparisons if one.method == method]
    if not compared:
        return None
    tasks = {task.name: task for task in evaluation.tasks}
    rows = [_overview(evaluation, tasks[one.task], one) for one in compared]
    columns = ["task", compared[0].against, method, "difference", ""]
    return Table("Every task by its primary figure, with 95% intervals", columns, rows)


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


def _overview(evaluation: Evaluation, task: EvaluatedTask, one: PairedComparison) -> list[str]:
    figures = {found.method: found.figures[task.primary] for found in evaluation.figures if found.task == task.name}
    measured = [figure_text(figures[one.against]), figure_text(figures[one.method]), difference_text(one.comparison)]
    # Intervals below their numbers, so that all of it fits a terminal.
    below = [text.replace(" [", "\n[") for text in measured]
    return [f"{task.name}\n{task.primary}, n={one.comparison.n}", *below, _tendency(one, task)]


def _tendency(one: PairedComparison, task: EvaluatedTask) -> str:
    """What a difference means, as far as its interval tells."""
    low, high = one.comparison.low, one.comparison.high
    if math.isnan(one.comparison.p_value) or not (low > 0 or high < 0):
        return "not clear"
    return "better" if (low > 0) == task.higher_is_better else "worse"


def _figure_table(evaluation: Evaluation, task: EvaluatedTask) -> Table:
    of_task = [found for found in evaluation.figures if found.task == task.name]
    beside = [name for name in BESIDE if name != task.primary and any(name in found.figures for found in of_task)]
    failed = ["failed"] if any(found.failed for found in of_task) else []
    rows = [[*_cells(found, task.primary, beside), *([str(found.failed)] if failed else [])] for found in of_task]
    return Table(_title(task), ["method", task.primary, "n", *beside, *failed], rows)


def _cells(found: MethodFigures, primary: str, beside: list[str]) -> Iterator[str]:
    figure = found.figures[primary]
    yield found.method
    yield figure_text(figure)
    yield str(figure.n)
    for name in beside:
        yield _value(name, found.figures[name].value) if name in found.figures else ""


def _title(task: EvaluatedTask) -> str:
    better = "higher is better" if task.higher_is_better else "lower is better"
    scorer = f", scored by {task.scorer}" if task.scorer else ""
    part = f", split {task.split}" if task.split else ""
    records = f"{task.records} record{'' if task.records == 1 else 's'}"
    return f"{task.name}: {records}{part}, {better}{scorer}"


def _value(name: str, value: float) -> str:
    if math.isnan(value):
        return ""
    return f"{value:.0f}" if name == "words" else f"{value:.3f}"
