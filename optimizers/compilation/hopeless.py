"""Tells bad luck from what keeps failing: a metric, or an LM that writes instructions.

Optimizers take what raises for a bad candidate, and would return an unimproved program without a word. This file knows
failures only; it must not know what is tried.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TypeVar

import dspy

from ...programs.errors import reason
from .ledger import Halt

T = TypeVar("T")

TOLERATED = 2
"""Failures that are taken for bad luck, such as a judge that could not be reached."""

_logger = logging.getLogger(__name__)


class MetricFailedError(RuntimeError):
    """A metric fails on most of what it is given, so that no candidate could be told from another."""


class PromptLMFailedError(RuntimeError):
    """The LM that writes instructions writes none that can be used, so that there is nothing to try."""


def prompt_lm_failed(error: Exception, lm: dspy.BaseLM) -> PromptLMFailedError:
    """What users see where the LM that writes instructions fails; nothing secret is in it."""
    return PromptLMFailedError(
        f"the LM that writes instructions wrote none that can be used ({reason(error, lm)}); give another one, or use"
        " 'instructions', which needs none"
    )


class Hopeless(Halt):
    """Something fails more often than not.

    Attributes:
        error: What users see in the place of this signal.
    """

    def __init__(self, error: Exception) -> None:
        """Carry the error out."""
        super().__init__()
        self.error = error


class Watch:
    """Counts how often something fails.

    Attributes:
        failed: How often it failed.
        succeeded: How often it did not.
    """

    def __init__(self, told: Callable[[Exception], Exception]) -> None:
        """Watch something; `told` makes the error that users see of its last failure."""
        self.failed = 0
        self.succeeded = 0
        self._told = told
        self._lock = threading.Lock()

    def __call__(self, work: Callable[[], T]) -> T:
        """Do some work.

        Raises:
            Hopeless: It failed, more often than not, and more often than is tolerated.
            Exception: Whatever the work raises.
        """
        try:
            found = work()
        except Exception as error:
            with self._lock:
                self.failed += 1
                hopeless = self.failed > max(TOLERATED, self.succeeded)
            if hopeless:
                raise Hopeless(self._told(error)) from error
            _logger.warning("%s", self._told(error))
            raise
        with self._lock:
            self.succeeded += 1
        return found
