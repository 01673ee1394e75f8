"""The plots of a report, as SVG that stands by itself: no script, no link, no font from elsewhere.

Names and options may be anybody's: matplotlib writes them as text and is told not to read formulas in them. This file
knows matplotlib; it must not know how anything was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from ..breakdown import extremes
from ..metrics import Figure
from ..metrics.extras import load_extra

if TYPE_CHECKING:
    from .report_content import MethodReport, Report, TaskReport

_SETTINGS = {
    "svg.hashsalt": "modplural",  # or the ids in the file would be other ones each time
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_LONGEST = 40
_INCHES_PER_LINE = 0.28
_PROLOGUE = re.compile(r"^.*?(?=<svg)|<metadata>.*?</metadata>", re.DOTALL)


class Plot(NamedTuple):
    """A plot: its name in files, what it shows, and its SVG."""

    name: str
    title: str
    svg: str


def draw(report: Report) -> dict[str, list[Plot]]:
    """Draw the plots of every task, by its name.

    Raises:
        MissingExtraError: The extra `evaluate`, which brings matplotlib, is not installed.
    """
    matplotlib = load_extra("matplotlib")
    with matplotlib.rc_context(_SETTINGS):
        return {task.task.name: list(_plots(task)) for task in report.tasks}


def _plots(task: TaskReport) -> Iterator[Plot]:
    name, primary = task.task.name, task.task.primary
    better = "higher is better" if task.task.higher_is_better else "lower is better"
    figures = {method.found.method: {primary: method.found.figures[primary]} for method in task.methods}
    yield Plot(f"{name}.figures", f"{primary} with 95% intervals ({better})", _dots(figures))
    if any(method.shares for method in task.methods):
        yield Plot(f"{name}.shares", "Gold against predicted shares", _lines(task.methods))
    for kind in ("parts", "values"):
        lines = _extreme_lines([getattr(method, kind) for method in task.methods])
        if lines:
            of_method = {
                line: {
                    method.found.method: found[line]
                    for method in task.methods
                    if line in (found := getattr(method, kind))
                }
                for line in lines
            }
            what = "attribute" if kind == "parts" else "value"
            yield Plot(f"{name}.{kind}", f"{primary} by {what}, worst and best", _dots(of_method))


def _extreme_lines(parts: Sequence[Mapping[str, Figure]]) -> list[str]:
    """Of the last method, which is the one that a report is about, the worst and best lines."""
    found = extremes(parts[-1]) if parts else None
    return [*found.worst, *reversed(list(found.best))] if found else []


def _dots(lines: Mapping[str, Mapping[str, Figure]]) -> str:
    """A line for each name, and on it a dot with its interval for each series."""
    series = list(dict.fromkeys(name for figures in lines.values() for name in figures))
    figure, axes = _canvas(1 + _INCHES_PER_LINE * len(lines) * max(1, len(series) / 2))
    for number, name in enumerate(series):
        shift = 0.6 * ((number + 0.5) / len(series) - 0.5)
        found = [(place + shift, one[name]) for place, one in enumerate(lines.values()) if name in one and one[name].n]
        values = [one.value for _, one in found]
        spans = [[one.value - one.low for _, one in found], [one.high - one.value for _, one in found]]
        clipped = [[max(0.0, span) for span in side] for side in spans]
        axes.errorbar(values, [place for place, _ in found], xerr=clipped, fmt="o", markersize=4, capsize=2, label=name)
    axes.set_yticks(range(len(lines)), [_short(name) for name in lines])
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.grid(axis="x", alpha=0.3)
    return _svg(figure, axes, series)


def _lines(methods: Sequence[MethodReport]) -> str:
    """A line for each method: predicted shares over gold shares, beside the diagonal on which they are the same."""
    figure, axes = _canvas(3.5)
    axes.plot([0, 1], [0, 1], color="0.7", linestyle=":", label="the same")
    for method in methods:
        points = sorted((one.gold, one.predicted) for one in method.shares)
        axes.plot(
            [gold for gold, _ in points],
            [said for _, said in points],
            marker="o",
            markersize=4,
            label=method.found.method,
        )
    axes.set_xlabel("gold share")
    axes.set_ylabel("predicted share")
    return _svg(figure, axes, ["the same", *(method.found.method for method in methods)])


def _canvas(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas

    figure = Canvas(figsize=(7, height), layout="constrained")
    return figure, figure.add_subplot()


def _svg(figure: Any, axes: Any, series: Sequence[str]) -> str:
    if len(series) > 1:
        axes.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    written = StringIO()
    figure.savefig(written, format="svg", metadata={"Date": None})
    return _PROLOGUE.sub("", written.getvalue())


def _short(text: str) -> str:
    flat = " ".join("".join(char if char.isprintable() else " " for char in text).split())
    return flat if len(flat) <= _LONGEST else f"{flat[: _LONGEST - 1]}…"
