"""One progress bar, with the rate and the time left; it does not know of what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from .session import Terminal


class Bar:
    """A bar that is drawn while this is entered; a terminal that cannot draw shows none."""

    def __init__(self, terminal: Terminal, unit: str, waiting: str = "") -> None:
        """Draw on the terminal's notes.

        Args:
            terminal: Where to.
            unit: What is counted, in the plural.
            waiting: What is said until something was counted.
        """
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
            console=terminal.notes,
            disable=not terminal.notes.is_terminal,
        )
        self._unit = unit
        self._task = self._progress.add_task("", total=None, rate=waiting, note="")
        self._started = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def draw(self, done: int, total: int, note: str = "") -> None:
        """Show how far it is, and a note in rich's markup. What is done at the first call does not count as speed."""
        if not self._started:
            self._started = True
            self._progress.reset(self._task, total=total, completed=done)
        speed = self._progress.tasks[0].speed
        rate = f"{speed:.2f} {self._unit}/s" if speed else ""
        self._progress.update(self._task, completed=done, rate=rate, note=note)
