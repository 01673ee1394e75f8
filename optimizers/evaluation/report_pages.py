"""A report as Markdown and as one HTML page, from the templates beside this file.

Whatever LMs and files say is escaped in both, and the page may load nothing from anywhere. This file must not know
where pages are kept.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from ..breakdown import FEWEST, extremes
from .report_content import Report, TaskReport
from .report_format import difference_text, figure_text, html_text, markdown_text, number_text, p_text
from .report_plots import Plot

Plots = Mapping[str, Sequence[Plot]]


def markdown_page(report: Report) -> str:
    """The report as Markdown, with GitHub's tables."""
    return _render("report.md.jinja", markdown_text, report, {})


def html_page(report: Report, plots: Plots) -> str:
    """The report as one page that needs no other file.

    Args:
        report: What it says.
        plots: Its plots by task, as `report_plots.draw` makes them: they are taken as they are, and trusted.
    """
    return _render("report.html.jinja", html_text, report, plots)


def _render(template: str, finalize: Callable[[object], object], report: Report, plots: Plots) -> str:
    # Escaping is on for both formats: `markdown_text` marks what it has escaped, so that it is not escaped twice.
    environment = Environment(autoescape=True, undefined=StrictUndefined, finalize=finalize, keep_trailing_newline=True)
    environment.filters.update(
        figure=lambda figure: Markup(figure_text(figure)),
        difference=lambda comparison: Markup(difference_text(comparison)),
        number=lambda value, digits=3: Markup(number_text(value, digits)),
        p=p_text,
        extremes=extremes,
        figure_names=_figure_names,
        drawing=Markup,
    )
    source = files(__package__).joinpath(template).read_text(encoding="utf-8")
    return environment.from_string(source).render(report=report, plots=plots, settings=_settings(report), fewest=FEWEST)


def _figure_names(task: TaskReport) -> list[str]:
    return list(dict.fromkeys(name for method in task.methods for name in method.found.figures))


def _settings(report: Report) -> dict[str, Any]:
    """What the evaluation was run with, one line each."""
    flat: dict[str, Any] = {}
    for name, value in report.evaluation.settings.items():
        nested = value.items() if isinstance(value, Mapping) else [(None, value)]
        flat.update({f"{name}: {part}" if part else str(name): each for part, each in nested})
    return flat
