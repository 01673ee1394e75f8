"""How many tokens LMs took, and what they cost where that is known.

This file reads DSPy's usage trackers; it must not know who asked.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

import dspy
from dspy.utils.usage_tracker import UsageTracker

_logger = logging.getLogger(__name__)


class Tokens(NamedTuple):
    """What one LM was asked.

    Attributes:
        calls: Calls that were made, and not answered from DSPy's cache.
        input: Tokens of their prompts.
        output: Tokens of the replies.
    """

    calls: int = 0
    input: int = 0
    output: int = 0


Usage = Mapping[str, Tokens]
"""By the LM's model string."""


class Spent(NamedTuple):
    """What all LMs together took.

    Attributes:
        input: Tokens of prompts.
        output: Tokens of replies.
        dollars: Their price in US dollars, of those LMs whose price is known; None where none is.
    """

    input: int = 0
    output: int = 0
    dollars: float | None = None


class Price(NamedTuple):
    """US dollars for one token of a prompt and of a reply."""

    input: float
    output: float


@contextmanager
def counting() -> Iterator[UsageTracker]:
    """Count what LMs are asked within this block; blocks within it count for themselves."""
    tracker = UsageTracker()
    with dspy.context(usage_tracker=tracker, disable_history=True):
        yield tracker


def usage_of(tracker: UsageTracker) -> dict[str, Tokens]:
    """What a tracker counted."""
    # A copy: a call that nobody waits for any more may still be counted.
    return {model: _sum(map(_tokens, list(entries))) for model, entries in list(tracker.usage_data.items())}


def total(usages: Iterable[Usage]) -> dict[str, Tokens]:
    """Add usages up."""
    found: dict[str, Tokens] = {}
    for usage in usages:
        for model, tokens in usage.items():
            found[model] = _sum([found.get(model, Tokens()), tokens])
    return found


def cost(model: str, tokens: Tokens) -> float | None:
    """What tokens of a model cost in US dollars by litellm's price list; None where it knows no price.

    It is an estimate: discounts, such as those for cached prompts, and surcharges for long ones are not in it.
    """
    price = price_of(model)
    return None if price is None else tokens.input * price.input + tokens.output * price.output


def spent(usage: Usage) -> Spent:
    """Put together what all LMs took."""
    costs = [price for model, tokens in usage.items() if (price := cost(model, tokens)) is not None]
    sums = _sum(usage.values())
    return Spent(sums.input, sums.output, sum(costs) if costs else None)


@cache
def price_of(model: str) -> Price | None:
    """The price of a model by litellm's list, which comes with it; None where there is none."""
    if model.partition("/")[0] in ("local", "fake"):
        return None
    # litellm would look for a newer list on the network while it is imported.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    import litellm

    try:
        price = Price(*litellm.cost_per_token(model, prompt_tokens=1, completion_tokens=1))
    except Exception as error:  # of many types; a price that is not known is no failure
        _logger.debug("no price of %s: %s", model, error)
        return None
    return price if any(price) else None


def _tokens(entry: Mapping[str, Any]) -> Tokens:
    counted: Counter[str] = Counter(
        {name: count for name, count in entry.items() if isinstance(count, int) and not isinstance(count, bool)}
    )
    return Tokens(1, counted["prompt_tokens"], counted["completion_tokens"])


def _sum(parts: Iterable[Tokens]) -> Tokens:
    return Tokens(*map(sum, zip(Tokens(), *parts, strict=True)))
