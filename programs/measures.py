"""What a backend can measure: log-likelihoods of given continuations, from any LM that offers them in some way.

A measure plans requests and reads replies; it never sends anything, so that sync and async calls share it. This file
must not know what the likelihoods are for.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import dspy

from .asking import Ask, CannotMeasureError, Plan, aask_all, ask_all
from .engines.scoring import EXTENSION, Likelihood, ScoreItem, check_items, read_scores, score_request
from .prompt_logprobs import PromptLogprobs
from .top_logprobs import TopLogprobs

__all__ = [
    "CannotMeasureError",
    "EngineScores",
    "Measure",
    "PromptLogprobs",
    "TopLogprobs",
    "arun_plan",
    "ascore",
    "measure_for",
    "run_plan",
    "score",
]

T = TypeVar("T")


class Measure(Protocol):
    """One way to measure likelihoods.

    Attributes:
        method: Name of the way, recorded in answers.
        can: What it measures: "next_token" for continuations of one token, "continuation" for any.
    """

    method: ClassVar[str]
    can: ClassVar[frozenset[str]]

    def plan(self, items: Sequence[ScoreItem]) -> Plan:
        """Plan the requests that measure every continuation of every item."""


@dataclass(frozen=True)
class EngineScores:
    """Asks an engine that scores continuations itself, in one request for all prompts."""

    model: str
    method: ClassVar[str] = "likelihood"
    can: ClassVar[frozenset[str]] = frozenset({"next_token", "continuation"})

    def plan(self, items: Sequence[ScoreItem]) -> Plan:
        """Plan one request."""
        [rows] = yield [Ask(score_request(self.model, items), read_scores)]
        return rows


def measure_for(lm: dspy.BaseLM) -> Measure:
    """The best measure for an LM, chosen without asking it anything.

    Raises:
        CannotMeasureError: The LM offers no log-probabilities.
    """
    engine = getattr(lm, "engine", "auto")
    if EXTENSION in getattr(engine, "measures", ()):
        return EngineScores(lm.model)
    if lm.model_type != "chat":
        problem = f"log-probabilities are read from chat replies, and this LM has model_type={lm.model_type!r}"
        raise CannotMeasureError(lm.model, problem, "make it with model_type='chat', or use 'sampled' or 'verbalized'")
    if isinstance(engine, str) and lm.model.startswith("hosted_vllm/"):
        return PromptLogprobs(lm.model)
    if "logprobs" not in lm.supported_params:
        raise CannotMeasureError(lm.model, "this backend offers no log-probabilities")
    return TopLogprobs(lm.model)


def score(lm: dspy.BaseLM, items: Sequence[ScoreItem]) -> list[list[Likelihood]]:
    """Measure the likelihood of every continuation.

    Args:
        lm: Any LM; `measure_for(lm).can` says which continuations it measures.
        items: Prompts with their continuations. Each spelling of an answer ("A" and " A") is a continuation of its own.

    Returns:
        A row per item, in order. Where `bounded` is set the backend told only an upper bound; a row in which all are
        bounded says nothing about the options.

    Raises:
        ValueError: No items, an empty prompt, or an empty continuation.
        CannotMeasureError: The backend offers no log-probabilities, or not of these continuations.
        dspy.LMError: The call failed for another reason (no connection, wrong key, prompt too long).
    """
    check_items(items)
    return run_plan(lm, measure_for(lm).plan(items))


async def ascore(lm: dspy.BaseLM, items: Sequence[ScoreItem]) -> list[list[Likelihood]]:
    """The same as `score`, awaited."""
    check_items(items)
    return await arun_plan(lm, measure_for(lm).plan(items))


def run_plan(lm: dspy.BaseLM, plan: Generator[list[Ask], Any, T]) -> T:
    """Send what a plan asks for, round by round, and return what it makes of the replies, or of their lack."""
    try:
        asks = next(plan)
        while True:
            try:
                found = ask_all(lm, asks)
            except CannotMeasureError as error:
                asks = plan.throw(error)
            else:
                asks = plan.send(found)
    except StopIteration as done:
        return done.value


async def arun_plan(lm: dspy.BaseLM, plan: Generator[list[Ask], Any, T]) -> T:
    """The same as `run_plan`, awaited."""
    try:
        asks = next(plan)
        while True:
            try:
                found = await aask_all(lm, asks)
            except CannotMeasureError as error:
                asks = plan.throw(error)
            else:
                asks = plan.send(found)
    except StopIteration as done:
        return done.value
