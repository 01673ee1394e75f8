"""Counts what LMs are asked, whoever asks, and stops those who would ask more than a limit.

DSPy's optimizers take every ordinary exception for a bad candidate and go on. What has to end them is therefore no
ordinary exception; it never leaves this package. This file knows DSPy's hooks; it must not know who asks or why.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dspy
from dspy.utils.callback import BaseCallback
from dspy.utils.usage_tracker import UsageTracker

from ..evaluation.usage import Tokens, Usage, total, usage_of


class Halt(BaseException):
    """Ends a search from within, past everything that catches exceptions."""


class BudgetSpent(Halt):
    """The limit of LM calls is reached."""


class Ledger(UsageTracker):
    """What was spent; one for all threads, also where DSPy gives every thread a copy of its tracker."""

    def __init__(self, before: Usage | None = None, on_call: Callable[[], None] | None = None) -> None:
        """Count on from what was spent before; `on_call` is told of every call, cached or not, in its thread."""
        super().__init__()
        self._on_call = on_call
        self._before = dict(before or {})
        self._calls = sum(tokens.calls for tokens in self._before.values())
        self._asked: Counter[str] = Counter()
        self._lock = threading.Lock()
        self.limit: int | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Ledger:
        return self

    @property
    def calls(self) -> int:
        """Calls so far that were not answered from a cache."""
        return self._calls

    @property
    def asked(self) -> Mapping[str, int]:
        """Calls so far by the LM's model string, cached ones among them, without those of before."""
        with self._lock:
            return dict(self._asked)

    def usage(self) -> dict[str, Tokens]:
        """Calls and tokens so far, by the LM's model string."""
        with self._lock:
            return total([self._before, usage_of(self)])

    def add_usage(self, lm: str, usage_entry: Mapping[str, Any]) -> None:
        """Count a call; DSPy calls this after each that was not answered from a cache."""
        with self._lock:
            self._calls += 1
            super().add_usage(lm, dict(usage_entry))

    def admit(self, model: str) -> None:
        """Let a call through, or not.

        Raises:
            BudgetSpent: The limit is reached.
        """
        with self._lock:
            if self.limit is not None and self._calls >= self.limit:
                raise BudgetSpent
            self._asked[model] += 1
        if self._on_call is not None:
            self._on_call()

    @contextmanager
    def watching(self, *callbacks: BaseCallback) -> Iterator[None]:
        """Within this block every LM call is counted, once, and limited; callbacks hear the rest of what DSPy does."""
        doormen = [] if dspy.settings.usage_tracker is self else [_Doorman(self)]
        told = [*dspy.settings.get("callbacks", []), *doormen, *callbacks]
        with dspy.context(usage_tracker=self, callbacks=told, disable_history=True):
            yield


class _Doorman(BaseCallback):
    """Asks the ledger before each call; DSPy swallows what a callback raises, but not a `Halt`."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self._ledger.admit(instance.model)
