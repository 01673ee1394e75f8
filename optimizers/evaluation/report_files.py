"""The reports of an evaluation as files: `report.md`, `report.html`, `report.json`, and each plot as SVG.

This file must not know what reports say.
"""

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from ...data import write_atomic
from ..faithfulness import DEFAULT_THRESHOLDS, Thresholds
from ..metrics import MissingExtraError, Scorer
from .report_content import Report, make_report
from .report_pages import html_page, markdown_page
from .report_plots import Plot, draw
from .result import Evaluation
from .work import Plan

_logger = logging.getLogger(__name__)


def write_reports(
    evaluation: Evaluation,
    plans: Sequence[Plan],
    folder: str | Path,
    scorer: Scorer | None = None,
    *,
    thresholds: Thresholds = DEFAULT_THRESHOLDS,
) -> list[Path]:
    """Write all reports of an evaluation.

    Args:
        evaluation: What was found.
        plans: What was evaluated.
        folder: Made where it is missing; files of the same names are replaced.
        scorer: Scores the coverage of single values and faithfulness; see `make_report`.
        thresholds: See `faithfulness`.

    Returns:
        The files, the reports first. Without matplotlib there are no plots, and a warning says so.

    Raises:
        ValueError: A task of the evaluation is in no plan.
    """
    report = make_report(evaluation, plans, scorer, thresholds=thresholds)
    plots = _draw(report)
    written = {
        "report.md": markdown_page(report),
        "report.html": html_page(report, plots),
        "report.json": json.dumps(report_json(report), indent=1, allow_nan=False) + "\n",
        **{f"plots/{plot.name}.svg": plot.svg for of_task in plots.values() for plot in of_task},
    }
    for name, text in written.items():
        path = Path(folder, name)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode("utf-8", errors="replace"))  # texts of LMs may hold halves of characters
    return [Path(folder, name) for name in written]


def report_json(report: Report) -> dict[str, Any]:
    """All that a report says as JSON data; what is no number becomes null. The rows themselves are the evaluation's."""
    evaluation = report.evaluation.to_json()
    del evaluation["rows"], evaluation["figures"], evaluation["comparisons"]
    return {**evaluation, "tasks": _plain(report.tasks)}


def _draw(report: Report) -> dict[str, list[Plot]]:
    try:
        return draw(report)
    except MissingExtraError as error:
        _logger.warning("reports are without plots: %s", error)
        return {}


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Thresholds):
        value = value._asdict()
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
