"""What the tests of programs share: fake communities, scripted choices, and a server that is asked for likelihoods."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

import dspy
import pytest

from modplural.programs.choice_prompt import ChoicePrompt, Scores
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.engines.scoring import Likelihood, ScoreItem
from modplural.programs.measures import arun_plan, ascore, run_plan, score
from modplural.programs.pool import CommunityPool

from .likelihood_server import Reply, Score, Server

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
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[dict[str, Any]], Reply]], Server]]:
    servers: list[Server] = []

    def start(reply: Callable[[dict[str, Any]], Reply]) -> Server:
        server = Server(reply)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["sync", "async"])
def measure(request: pytest.FixtureRequest) -> Score:
    """`score` and `ascore`, alike; the LM's connections are closed afterwards."""

    def run(lm: dspy.LM, items: list[ScoreItem]) -> list[list[Likelihood]]:
        try:
            return score(lm, items)
        finally:
            lm.close()

    async def arun(lm: dspy.LM, items: list[ScoreItem]) -> list[list[Likelihood]]:
        try:
            return await ascore(lm, items)
        finally:
            await lm.aclose()

    return run if request.param == "sync" else lambda lm, items: asyncio.run(arun(lm, items))


@pytest.fixture
def pool() -> CommunityPool:
    """Three communities, each with an LM of its own that always says the same."""
    return CommunityPool(
        CommunityLM(name, fake_lm({"": saying}, name=name, num_retries=0), description=f"Those who cherish {name}.")
        for name, saying in SAYINGS.items()
    )
