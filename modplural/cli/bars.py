"""Progress bars, one for each task of an evaluation, with the rate and the time left."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .session import Terminal

if TYPE_CHECKING:
    from rich.progress import TaskID

    from ..optimizers.evaluation import Progress


_PERIOD = 600.0
"""Seconds that the rate is taken from: rows of a slow LM come minutes apart."""


class TaskBars:
    """Bars that are drawn while this is entered; a terminal that cannot draw shows none."""

    def __init__(self, terminal: Terminal) -> None:
        """Draw on the terminal's notes."""
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=terminal.notes,
            speed_estimate_period=_PERIOD,
            disable=not terminal.notes.is_terminal,
        )
        self._ids: dict[str, TaskID] = {}

    def __enter__(self) -> TaskBars:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, progress: Progress) -> None:
        """Show how far a task is. What an earlier run has done comes first and does not count as speed."""
        name, done, total, failed = progress
        if name not in self._ids:
            self._ids[name] = self._bars.add_task(name, total=total, completed=done, rate="", failed="")
        bar = self._ids[name]
        speed = self._bars.tasks[bar].speed
        self._bars.update(
            bar,
            completed=done,
            rate=f"{speed:.2f} rows/s" if speed else "",
            failed=f"{failed} failed" if failed else "",
        )
