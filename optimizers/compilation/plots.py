"""The plot of a compilation: before, after and baselines with their intervals, as SVG that stands by itself.

This file knows reports and matplotlib; it must not know how anything was found.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..metrics import Figure
from ..metrics.extras import MissingExtraError, load_extra
from .report import CompileReport, PartReport

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PLOT = "scores.svg"

_SETTINGS = {
    "svg.hashsalt": "modplural",  # or the ids in the file would be other ones each time
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "text.parse_math": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH, _LINE, _MARGIN = 7.0, 0.28, 0.7
"""In inches."""


def write_plot(report: CompileReport, folder: Path) -> None:
    """Draw the report's primary figure; nothing where the extra `evaluate`, which brings matplotlib, is missing."""
    parts = (report.dev, *report.scored_last)
    try:
        matplotlib, figure = load_extra("matplotlib"), load_extra("matplotlib.figure")
    except MissingExtraError:
        return
    with matplotlib.rc_context(_SETTINGS):
        heights = [len(_lines(part, report.primary)) * _LINE + _MARGIN for part in parts]
        drawn = figure.Figure(figsize=(_WIDTH, sum(heights)), layout="constrained")
        rows = drawn.subplots(len(parts), squeeze=False, height_ratios=heights, sharex=True)
        for (axes,), part in zip(rows, parts, strict=True):
            _draw(axes, part, report.primary)
        drawn.savefig(folder / PLOT, format="svg", metadata={"Date": None})


def _draw(axes: Axes, part: PartReport, primary: str) -> None:
    lines = _lines(part, primary)
    for place, figure in enumerate(lines.values()):
        reach = [[figure.value - figure.low], [figure.high - figure.value]]
        axes.errorbar([figure.value], [place], xerr=reach, fmt="o", color="C0", markersize=4)
    axes.set_yticks(range(len(lines)), list(lines))
    axes.set_ylim(len(lines) - 0.5, -0.5)
    axes.set_title(f"{part.name}: {primary}, with 95% intervals, n = {part.records}", loc="left")


def _lines(part: PartReport, primary: str) -> dict[str, Figure]:
    found = {"before": part.before[primary], "after": part.after[primary]}
    for one in part.beside:
        if one.comparison.n and one.program == part.after:
            found[one.name] = one.baseline[primary]
        elif one.comparison.n:  # whose baseline is a line already
            found[f"after against {one.name}"] = one.program[primary]
    return found
