"""What a compilation will cost, said before it is spent: one record is answered, and the rest is multiplied.

It is an upper bound where strategies stop early, and where DSPy's cache has answers. This file knows counts and prices;
it must not know how anything is searched.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..evaluation.usage import Tokens, Usage, cost, total

PROMPT_CALL = Tokens(1, 2000, 400)
"""What a call that has instructions written takes, roughly: a description, a few examples, and a paragraph."""

_MODELS_SHOWN = 2


@dataclass(frozen=True)
class Estimate:
    """What a compilation will take at most, roughly.

    Attributes:
        answers: Answers of the program.
        prompt_calls: Calls of the LM that writes instructions.
        tokens: Calls and tokens by the LM's model string; tokens are zero where they are not known.
        costs: US dollars by model, where its price is known.
    """

    answers: int
    prompt_calls: int
    tokens: Mapping[str, Tokens]
    costs: Mapping[str, float]

    @property
    def calls(self) -> int:
        """All LM calls."""
        return sum(tokens.calls for tokens in self.tokens.values())

    def __str__(self) -> str:
        most = sorted(self.tokens.items(), key=lambda pair: -pair[1].calls)
        calls = ", ".join(f"{tokens.calls} of {model}" for model, tokens in most[:_MODELS_SHOWN])
        calls += f", and {len(most) - _MODELS_SHOWN} LMs more" if len(most) > _MODELS_SHOWN else ""
        tokens = sum(tokens.input + tokens.output for tokens in self.tokens.values())
        known = f", {tokens:,} tokens" if tokens else ""
        price = f", about ${sum(self.costs.values()):.2f}" if self.costs else ""
        return f"up to {self.answers} answers, about {self.calls} LM calls ({calls}){known}{price}"


def estimate(
    answers: int,
    one_answer: Mapping[str, int],
    used: Usage,
    prompt_calls: int = 0,
    prompt_model: str | None = None,
    beside: Mapping[str, int] | None = None,
) -> Estimate:
    """Multiply what one answer took.

    Args:
        answers: How many answers there will be.
        one_answer: Calls that one answer took, by model, those that a cache answered among them.
        used: Calls and tokens of that answer that no cache answered.
        prompt_calls: Calls of the LM that writes instructions.
        prompt_model: Its model string.
        beside: Calls of baselines, by model; each takes what a call of that model took.
    """
    parts: list[Usage] = [
        {model: _calls(number, used.get(model, Tokens())) for model, number in calls.items()}
        for calls in ({model: calls * answers for model, calls in one_answer.items()}, beside or {})
    ]
    if prompt_model is not None and prompt_calls:
        parts.append({prompt_model: _calls(prompt_calls, PROMPT_CALL)})
    tokens = total(parts)
    costs = {model: price for model, count in tokens.items() if (price := cost(model, count)) is not None}
    return Estimate(answers, prompt_calls, tokens, costs)


def _calls(calls: int, used: Tokens) -> Tokens:
    # Where some of the calls came from a cache, the others stand for them.
    share = calls / used.calls if used.calls else 0.0
    return Tokens(calls, round(used.input * share), round(used.output * share))
