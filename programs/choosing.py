"""The ways to measure a choice, by name, and which of them a backend can do.

This file must not know predictors, calibration or what a choice is for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import dspy

from .asking import CannotMeasureError
from .choice_likelihoods import channel, letters, texts, verdicts
from .choice_prompt import ChoicePlan, ChoicePrompt
from .choice_replies import sampled, verbalized
from .measures import measure_for


class Strategy(NamedTuple):
    """One way to measure a choice.

    Attributes:
        plan: Plans the requests for a prompt and reads their replies; a generator, so that sync and async calls share
            it. It raises CannotMeasureError where the replies do not tell, and never makes an answer up.
        needs: What the backend must measure: "next_token", "continuation", or None.
    """

    plan: Callable[[dspy.BaseLM, ChoicePrompt], ChoicePlan]
    needs: str | None = None


STRATEGIES: Mapping[str, Strategy] = {
    "letters": Strategy(letters, "next_token"),
    "texts": Strategy(texts, "continuation"),
    "verdicts": Strategy(verdicts, "next_token"),
    "channel": Strategy(channel, "continuation"),
    "sampled": Strategy(sampled),
    "verbalized": Strategy(verbalized),
}


def usable_strategies(lm: dspy.BaseLM) -> tuple[str, ...]:
    """Names of the strategies that this LM's backend can measure, without asking it anything."""
    try:
        can = measure_for(lm).can
    except CannotMeasureError:
        can = frozenset()
    return tuple(name for name, strategy in STRATEGIES.items() if strategy.needs is None or strategy.needs in can)
