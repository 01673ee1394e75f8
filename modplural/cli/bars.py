"""Progress bars, one for each task of an evaluation, with the rate and the time left, and what LMs took below them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .session import Terminal

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import TaskID

    from ..optimizers.evaluation import Progress, Spent


_PERIOD = 600.0
"""Seconds that the rate is taken from: rows of a slow LM come minutes apart."""


class TaskBars:
    """Bars that are drawn while this is entered; a terminal that cannot draw shows none."""

    def __init__(self, terminal: Terminal) -> None:
        """Draw on the terminal's notes."""
        from rich.live import Live
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bars

        # Never started itself: it is drawn with the line below it.
        self._bars = Bars(
            TextColumn("{task.description}"),
            BarColumn(20),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[failed]}", style="red"),
            console=terminal.notes,
            speed_estimate_period=_PERIOD,
        )
        self._spent = ""
        self._ids: dict[str, TaskID] = {}
        self._drawn = terminal.notes.is_terminal
        self._live = Live(get_renderable=self._shown, console=terminal.notes, refresh_per_second=4)

    def __enter__(self) -> TaskBars:
        if self._drawn:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._drawn:
            self._live.stop()

    def show(self, progress: Progress) -> None:
        """Show how far a task is. What an earlier run has done comes first and does not count as speed."""
        name, done, total, failed, spent = progress
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
        self._spent = _told(spent)

    def _shown(self) -> RenderableType:
        from rich.console import Group
        from rich.text import Text

        return Group(self._bars.get_renderable(), Text(self._spent, style="dim"))


def _told(spent: Spent) -> str:
    """What LMs took, in a line; nothing before any was asked."""
    if not spent.input:
        return ""
    price = "" if spent.dollars is None else f", ${spent.dollars:.2f}"
    return f"{spent.input:,} tokens in, {spent.output:,} out{price}"
