"""Likelihood requests: how the log-likelihood of given continuations is asked of an engine through `dspy.LM`.

A likelihood question travels as an ordinary `dspy.lm15.Request` with one extension, so that DSPy's cache, history and
usage tracking see it. This file knows the format only: neither who asks nor how an engine computes the answer.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from dspy.lm15 import Config, DataPart, InvalidRequestError, Message, Request, Response, Usage

EXTENSION = "score"
"""Name of the request extension. An engine that can score lists it in its `measures`."""

_ROLES = ("system", "user", "assistant")


class Turn(NamedTuple):
    """One chat message of a prompt. A final assistant turn is an answer begun, which continuations go on from."""

    role: str
    content: str


class Likelihood(NamedTuple):
    """Log-likelihood (natural logarithm, summed over tokens) of one continuation, and its number of tokens.

    Where it could not be measured, `bounded` is set and `logprob` is an upper bound; engines always measure.
    """

    logprob: float
    tokens: int
    bounded: bool = False


@dataclass(frozen=True)
class ScoreItem:
    """One prompt and the continuations to score after it."""

    prompt: tuple[Turn, ...]
    continuations: tuple[str, ...]


def score_request(model: str, items: Sequence[ScoreItem]) -> Request:
    """Build the request that asks for the likelihoods of all `items` at once.

    The in-process engine answers it in batches, where sums are taken in another order than for an item alone. In
    float32 that moves a likelihood by less than 1e-4 nats. In bfloat16 it moves it by at most one step of the model's
    largest logits per token: with 8 significant bits, numbers between 8 and 16 lie 1/16 apart, and those between 16 and
    32 lie 1/8 apart. Both bounds are tested: 1/16 for a random model of two layers (seen: 0.03 at most, 0.001 on
    average, 1,440 continuations), and 1/8 for SmolLM2-135M with its adapters (seen: 0.10 at most, 0.02 on average, 48
    continuations). Differences between options below that are noise.

    Args:
        model: The model string of the `dspy.LM` that will be called; DSPy requires the two to match.
        items: Prompts with their continuations; at least one, each with at least one non-empty continuation.

    Raises:
        ValueError: No items, an empty prompt, or an empty continuation.
    """
    check_items(items)
    payload = [
        {
            "prompt": [{"role": turn.role, "content": turn.content} for turn in item.prompt],
            "continuations": list(item.continuations),
        }
        for item in items
    ]
    return Request(
        model=model,
        messages=(Message.user(items[0].prompt[-1].content or " "),),
        config=Config(extensions={EXTENSION: payload}),
    )


def check_items(items: Sequence[ScoreItem]) -> None:
    """Raise ValueError unless there are items, and each has a prompt and non-empty continuations."""
    if not items:
        raise ValueError("a likelihood request needs at least one prompt; none was given")
    for item in items:
        if not item.prompt or not item.continuations or not all(item.continuations):
            raise ValueError(f"a likelihood item needs a prompt and non-empty continuations; got {item!r}")


def read_items(request: Request) -> tuple[ScoreItem, ...] | None:
    """Read the likelihood question out of a request; None where the request asks for something else.

    Raises:
        dspy.lm15.InvalidRequestError: The extension is there but is not what `score_request` writes.
    """
    payload = (request.config.extensions or {}).get(EXTENSION)
    if payload is None:
        return None
    try:
        items = tuple(_read_item(entry) for entry in payload)
    except (KeyError, TypeError, ValueError) as error:
        raise InvalidRequestError(f"the request's {EXTENSION!r} extension is malformed: {error!r}") from error
    if not items:
        raise InvalidRequestError(f"the request's {EXTENSION!r} extension names no prompt")
    return items


def score_response(request: Request, scores: Sequence[Sequence[Likelihood]], usage: Usage) -> Response:
    """Wrap measured likelihoods, aligned with the request's items and their continuations, in a response."""
    value = {"scores": [[[float(s.logprob), int(s.tokens)] for s in row] for row in scores]}
    return Response(
        id=None,
        model=request.model,
        message=Message(role="assistant", parts=(DataPart(value=value),)),
        finish_reason="stop",
        usage=usage,
    )


def read_scores(response: Response) -> list[list[Likelihood]]:
    """Read the likelihoods out of a response that `score_response` wrote; one list per item."""
    part = response.message.parts[0]
    if not isinstance(part, DataPart) or not isinstance(part.value, dict):
        raise TypeError(f"expected measured likelihoods from {response.model!r}, got {type(part).__name__}")
    rows: Any = part.value["scores"]
    return [[Likelihood(float(logprob), int(tokens)) for logprob, tokens in row] for row in rows]


def _read_item(entry: Any) -> ScoreItem:
    prompt = tuple(Turn(str(turn["role"]), str(turn["content"])) for turn in entry["prompt"])
    continuations = tuple(str(text) for text in entry["continuations"])
    if not prompt or not continuations or not all(continuations):
        raise ValueError("every item needs a prompt and non-empty continuations")
    if any(turn.role not in _ROLES for turn in prompt):
        raise ValueError(f"roles are {_ROLES}")
    return ScoreItem(prompt, continuations)
