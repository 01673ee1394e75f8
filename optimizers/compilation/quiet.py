"""Keeps DSPy's optimizers from writing over a user's terminal: they print, draw bars and log every failing row.

What they print goes to the log of this package, at debug level. Standard streams and loggers belong to the process, so
the block is as short as an optimizer's run, and everything is put back. This file knows streams only.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

_LOUD = ("dspy", "gepa", "optuna")

_logger = logging.getLogger(__name__)


@contextmanager
def quiet() -> Iterator[None]:
    """Within this block what is printed is logged, and DSPy logs nothing that is not critical."""
    loggers = [logging.getLogger(name) for name in _LOUD]
    levels = [logger.level for logger in loggers]
    printed = _Logged()
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with redirect_stdout(printed), redirect_stderr(printed):
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


class _Logged(io.TextIOBase):
    """A stream whose lines are log records."""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        if text.strip():
            _logger.debug("%s", text.rstrip())
        return len(text)
