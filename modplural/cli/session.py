"""What surrounds every command: a terminal, quiet libraries, and errors as one paragraph and an exit code.

This file knows processes and terminals; it must not know what a command does.
"""

import logging
import os
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import NoReturn, TypeVar

import typer
from rich.console import Console
from rich.text import Text

T = TypeVar("T")

FAILED = 1
WRONG_USAGE = 2
INTERRUPTED = 130

WIDTH = 100
"""Columns that output fits in; a narrower terminal gets its own width."""

_PATIENCE = 0.1


class WrongUsageError(Exception):
    """The command, or a file that it names, makes no sense; the message says what to write instead."""


class Terminal:
    """Where a command writes.

    Attributes:
        out: Standard output, for results.
        notes: Progress and remarks: standard error, or where `out` is a terminal the same console, because two of them
            would draw over each other.
    """

    def __init__(self) -> None:
        """Look at what standard output is."""
        self.out = _console(stderr=False)
        self.notes = self.out if self.out.is_terminal else _console(stderr=True)


@contextmanager
def session() -> Iterator[Terminal]:
    """Run a command's body; what it raises becomes a paragraph on standard error and an exit code."""
    terminal = Terminal()
    try:
        with _quiet_libraries(terminal.notes):
            yield terminal
    except typer.Exit:
        raise
    except KeyboardInterrupt:
        leave("Interrupted.", INTERRUPTED)
    except BrokenPipeError:  # whoever read the output has enough of it
        raise typer.Exit(FAILED) from None
    except Exception as error:
        if os.environ.get("MODPLURAL_DEBUG"):
            raise
        complain(f"Error: {described(error)}")
        raise typer.Exit(WRONG_USAGE if isinstance(error, WrongUsageError) else FAILED) from None


def deliver(command: Callable[[], None]) -> NoReturn:
    """Run the command of this process and end it. What did not reach standard output is a failure, and not for nothing.

    A reader that has enough, such as `head`, is told nothing; a full disk or a closed output is.
    """
    if sys.stdout is None:
        complain(
            "Error: standard output is closed, and nothing could be shown there. Redirect it to /dev/null instead."
        )
        sys.exit(FAILED)
    code: str | int | None = 0
    try:
        try:
            command()
        except SystemExit as leaving:
            code = leaving.code
        sys.stdout.flush()
    except OSError as error:
        if os.environ.get("MODPLURAL_DEBUG"):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or the interpreter would try it once more
        if not code and not isinstance(error, BrokenPipeError):
            complain(f"Error: standard output: {error.strerror}")
        code = code or FAILED
    sys.exit(code)


@contextmanager
def checking() -> Iterator[None]:
    """What cannot be read, found or understood in here is wrong usage, and no failure of anything."""
    try:
        yield
    except (ValueError, TypeError, LookupError, OSError) as error:
        raise WrongUsageError(described(error)) from error


def complain(message: str) -> None:
    """Say what is wrong, on standard error."""
    _console(stderr=True).print(Text(message), soft_wrap=True)


def leave(message: str, code: int) -> NoReturn:
    """End the process now.

    An ordinary exit would wait for LM calls under way in other threads; nothing that is kept depends on their end.
    """
    complain(message)
    sys.stdout.flush()
    os._exit(code)


def described(error: Exception) -> str:
    """An error's message without secrets, with its type where it is not ours: our messages stand by themselves."""
    from ..programs.errors import redacted

    if isinstance(error, OSError) and error.filename and error.strerror:
        return f"{error.filename}: {error.strerror}"
    said = redacted(str(error).strip())
    ours = type(error).__module__.startswith("modplural.") or type(error) in (ValueError, TypeError, LookupError)
    return said if said and ours else f"{type(error).__name__}: {said}".removesuffix(": ")


def interruptible(work: Callable[[], T]) -> T:
    """Work in another thread, so that Ctrl-C is heard here at once, whatever the work is waiting for."""
    future: Future[T] = Future()
    context = copy_context()

    def fulfil() -> None:
        try:
            future.set_result(context.run(work))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=fulfil, name="modplural-command", daemon=True).start()
    while not wait([future], timeout=_PATIENCE).done:
        pass  # a wait without a limit can sleep through a signal
    return future.result()


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False)
    console.width = min(console.width, WIDTH) if console.is_terminal else WIDTH
    return console


@contextmanager
def _quiet_libraries(notes: Console) -> Iterator[None]:
    """Show our own log as notes, and keep the warnings of libraries off the terminal."""
    own, others = logging.getLogger("modplural"), logging.getLogger("dspy.clients")
    handler, level = _Notes(notes), others.level
    own.addHandler(handler)
    others.setLevel(logging.ERROR)  # such as one line for every reply that reached its max_tokens
    try:
        with warnings.catch_warnings():
            if not sys.warnoptions:
                warnings.simplefilter("ignore")
            yield
    finally:
        own.removeHandler(handler)
        others.setLevel(level)


class _Notes(logging.Handler):
    def __init__(self, console: Console) -> None:
        super().__init__(logging.WARNING)
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        self._console.print(Text(record.getMessage(), style="dim"))
