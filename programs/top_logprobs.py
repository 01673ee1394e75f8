"""Likelihoods from the likeliest next tokens, which OpenAI-compatible APIs list beside a reply.

Only continuations of one token can be found there, and only among the likeliest; of the others an upper bound is known.
This file must not know how requests are sent or what the likelihoods are for.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from dspy.lm15 import Config, Response, TopLogprob

from .asking import Ask, CannotMeasureError, Plan, chat_request
from .engines.scoring import Likelihood, ScoreItem, Turn

_LISTED = 20


@dataclass(frozen=True)
class TopLogprobs:
    """Asks for one token and reads the alternatives to it: one request per prompt."""

    model: str
    method: ClassVar[str] = "top_logprobs"
    can: ClassVar[frozenset[str]] = frozenset({"next_token"})

    def plan(self, items: Sequence[ScoreItem]) -> Plan:
        """Plan one request per item; a continuation is measured where a listed token is spelled exactly like it."""
        listings = yield [self._ask(item.prompt) for item in items]
        return [
            [_look_up(text, listed) for text in item.continuations]
            for item, listed in zip(items, listings, strict=True)
        ]

    def _ask(self, prompt: Sequence[Turn]) -> Ask:
        if prompt[-1].role == "assistant":
            raise CannotMeasureError(self.model, "this API starts a new answer and cannot continue one that was begun")
        # At temperature 0 the token chosen is the likeliest; another one would be listed beyond its rank, at random.
        config = Config(max_tokens=1, temperature=0.0, logprobs=_LISTED)
        return Ask(chat_request(self.model, prompt, config), self._read)

    def _read(self, response: Response) -> tuple[TopLogprob, ...]:
        listed = response.logprobs[0].top if response.logprobs else ()
        if not listed:
            problem = "the API returned no log-probabilities of alternative tokens"
            raise CannotMeasureError(self.model, problem, lasting=True)
        return listed


def _look_up(text: str, listed: Sequence[TopLogprob]) -> Likelihood:
    """Sum the listed tokens spelled like the text (several can be); else bound it.

    A text that is not listed begins with a listed token that is a part of it, or with one less likely than all listed.
    """
    same = [token.logprob for token in listed if token.token == text]
    if same:
        return Likelihood(float(np.logaddexp.reduce(same)), 1)
    beginnings = [token.logprob for token in listed if token.token and text.startswith(token.token)]
    return Likelihood(max(min(token.logprob for token in listed), *beginnings, -math.inf), 1, bounded=True)
