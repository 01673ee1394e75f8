"""What the tests of programs share: a pool of fake communities, a base LLM that is never real, and scripted choices."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import dspy
import pytest

from modplural.programs.choice_prompt import ChoicePrompt, Scores
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.measures import arun_plan, run_plan
from modplural.programs.pool import CommunityPool

SAYINGS = {
    "care": "Kindness protects somebody fragile. More follows.",
    "fairness": "Justice demands impartial treatment. More follows.",
    "liberty": "Freedom means consenting adults decide. More follows.",
}

Run = Callable[..., Awaitable[dspy.Prediction]]
Probabilities = Callable[[Mapping[str, Any]], dict[str, float]]


class ScriptedChoice(dspy.Predict):
    """A choice whose probabilities a test writes, from the inputs; it asks no LM and remembers its inputs."""

    def __init__(self, signature: type[dspy.Signature], probabilities: Probabilities) -> None:
        super().__init__(signature)
        self.probabilities = probabilities
        self.asked: list[dict[str, Any]] = []

    def forward(self, **inputs: Any) -> dspy.Prediction:
        self.asked.append(dict(inputs))
        found = self.probabilities(inputs)
        completion = {"choice": max(found, key=lambda option: found[option]), "probabilities": found}
        return self._forward_postprocess([completion], self.signature, **inputs)

    async def aforward(self, **inputs: Any) -> dspy.Prediction:
        return self.forward(**inputs)


@pytest.fixture
def scripted() -> type[ScriptedChoice]:
    return ScriptedChoice


@pytest.fixture(params=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Run:
    """Calls a program, once in threads and once under asyncio."""

    async def called(program: dspy.Module, *args: Any, **kwargs: Any) -> dspy.Prediction:
        return program(*args, **kwargs) if request.param == "sync" else await program.acall(*args, **kwargs)

    return called


@pytest.fixture(params=["sync", "async"])
def measured(request: pytest.FixtureRequest) -> Callable[..., Scores]:
    """Runs the plan of a choice's strategy, both ways."""

    def run(lm: dspy.LM, strategy: Any, prompt: ChoicePrompt) -> Scores:
        plan = strategy(lm, prompt)
        return run_plan(lm, plan) if request.param == "sync" else asyncio.run(arun_plan(lm, plan))

    return run


@pytest.fixture
def pool() -> CommunityPool:
    """Three communities, each with an LM of its own that always says the same."""
    return CommunityPool(
        CommunityLM(name, fake_lm({"": saying}, name=name, num_retries=0), description=f"Those who cherish {name}.")
        for name, saying in SAYINGS.items()
    )
