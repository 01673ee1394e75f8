"""What was measured, and how it is shown; this file knows neither how nor on what."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table


@dataclass(frozen=True)
class Figure:
    """A figure of the engine beside another one.

    Attributes:
        name: What was measured.
        other: The plain way's figure, or the base model's alone.
        ours: The engine's.
        ratio: How many times the other figure ours is; its own field, as a median of ratios is no ratio of medians.
        target: What the ratio has to reach, or with `at_most` must not pass; None where the figure is information.
        at_most: Whether less is better.
    """

    name: str
    other: float
    ours: float
    ratio: float
    target: float | None = None
    at_most: bool = False

    @property
    def met(self) -> bool:
        """Whether the target is met; true where there is none."""
        if self.target is None:
            return True
        return self.ratio <= self.target if self.at_most else self.ratio >= self.target


def comparison(title: str, other: str, ours: str, figures: Sequence[Figure]) -> Table:
    """A table of figures with their targets."""
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in (other, ours, "ratio", "target", "met"):
        table.add_column(heading, justify="right")
    for figure in figures:
        values = (figure.name, rounded(figure.other), rounded(figure.ours), f"{figure.ratio:.2f}")
        if figure.target is None:
            table.add_row(*values)
        else:
            sign = "≤" if figure.at_most else "≥"
            table.add_row(*values, f"{sign} {figure.target:g}", "[green]yes[/]" if figure.met else "[bold red]no[/]")
    return table


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Keep other libraries' remarks out of the tables."""
    from transformers.utils import logging as transformers_logging

    dspy_log, bars = logging.getLogger("dspy"), transformers_logging.is_progress_bar_enabled()
    level = dspy_log.level
    transformers_logging.disable_progress_bar()
    dspy_log.setLevel(logging.ERROR)  # it remarks on every generation that ends at its token limit
    try:
        with warnings.catch_warnings():
            # PEFT reads an attribute that transformers deprecates.
            warnings.filterwarnings("ignore", message=".*is_gradient_checkpoint.*", category=FutureWarning)
            yield
    finally:
        dspy_log.setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()


def progress_bars(console: Console) -> Progress:
    """Progress of the stages of a run; redrawn rarely, so as not to cost what is measured."""
    columns = (TextColumn("{task.description:32}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, refresh_per_second=2)


def stage(progress: Progress, name: str, total: int) -> Callable[[], None]:
    """Begin a stage of `total` parts; call what it returns after each."""
    task = progress.add_task(name, total=total)
    return lambda: progress.advance(task)


def rounded(value: float) -> str:
    """A value with three digits, or whole."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
