"""Measuring a choice by the first of several strategies that works: what a backend announces it may still not give.

This file knows strategies by name and their failures; it must not know predictors or calibration.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Generator, Sequence
from typing import Any, NamedTuple, Self

import dspy

from .asking import Ask, CannotMeasureError, server_of
from .choice_prompt import ChoicePrompt, Scores
from .choosing import STRATEGIES

_logger = logging.getLogger(__name__)


class Measured(NamedTuple):
    """What was measured, and by which strategy."""

    strategy: str
    scores: Scores


class Unmeasurable:
    """Strategies that an LM failed at although its backend announces what they need; copies learn together.

    Only what lies in the backend is learnt, and only where another strategy answered: a server that is down for a
    moment, or a question that it refuses, says nothing about the next one.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._known: set[tuple[str, str, str]] = set()

    def learn(self, lm: dspy.BaseLM, error: CannotMeasureError, strategy: str, instead: str) -> None:
        """Remember that an LM fails at a strategy, also under other settings."""
        _logger.warning("%s, so 'auto' takes %r instead of %r from now on", error, instead, strategy)
        self._known.add((lm.model, server_of(lm), strategy))

    def rest(self, lm: dspy.BaseLM, strategies: Sequence[str]) -> list[str]:
        """The strategies that an LM is not known to fail at, in order."""
        return [name for name in strategies if (lm.model, server_of(lm), name) not in self._known]

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """A copied predictor asks the same servers: what one learnt the other need not ask in vain."""
        return self


def measure_first(
    lm: dspy.BaseLM, prompt: ChoicePrompt, strategies: Sequence[str], unmeasurable: Unmeasurable
) -> Generator[list[Ask], Any, Measured]:
    """Plan the requests of one strategy after the other, until one has measured the choice.

    Args:
        lm: Who is asked.
        prompt: What is asked.
        strategies: Names in the order of preference; the failure of the last one is raised.
        unmeasurable: Learns which of them this LM's backend cannot measure.

    Raises:
        CannotMeasureError: None of them could measure it.
    """
    lasting: dict[str, CannotMeasureError] = {}
    for strategy in strategies[:-1]:
        try:
            measured = yield from _measure(lm, prompt, strategy)
        except CannotMeasureError as error:
            if error.lasting:
                lasting[strategy] = error
        else:
            break
    else:
        measured = yield from _measure(lm, prompt, strategies[-1])
    for strategy, reason in lasting.items():
        unmeasurable.learn(lm, reason, strategy, measured.strategy)
    return measured


def _measure(lm: dspy.BaseLM, prompt: ChoicePrompt, strategy: str) -> Generator[list[Ask], Any, Measured]:
    scores = yield from STRATEGIES[strategy].plan(lm, prompt)
    if not any(map(math.isfinite, scores.logits)) or not all(logit < math.inf for logit in scores.logits):
        raise CannotMeasureError(lm.model, f"{strategy!r} measured {scores.logits}, which is no distribution")
    return Measured(strategy, scores)
