"""MLflow without its own chatter, for commands that have something else to say."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet_mlflow() -> Iterator[None]:
    """Without the lines in which MLflow says that it makes its tables."""
    with suppress(ImportError):  # whoever tracks says what to install
        import mlflow  # noqa: F401 - its import sets the level
    log = logging.getLogger("mlflow")
    level = log.level
    log.setLevel(logging.WARNING)
    logging.getLogger("mlflow.tracing").setLevel(logging.WARNING)  # for good: it says at exit that it writes traces
    try:
        yield
    finally:
        log.setLevel(level)
