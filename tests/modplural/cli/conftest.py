"""What the tests of the command line share: a pool file whose LMs are fake, and a way to run commands."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest
from typer.testing import CliRunner, Result

from modplural.cli import app
from modplural.programs import building, lms, saving
from modplural.programs.config import LMConfig
from modplural.programs.engines.fake import fake_lm

POOL = """\
base: {model: openai/base}
community_base: {model: openai/small}
communities:
  - {name: care, description: Those who care., persona: You speak for care.}
  - {name: fairness, description: Those who are fair., persona: You speak for fairness., weight: 3}
"""

REPLIES: dict[str, str | Exception] = {
    "You speak for care": "Kindness protects somebody fragile.",
    "You speak for fairness": "Justice demands impartial treatment.",
    "": "Seen from both sides, it depends.",
}

LMs = dict[str, dspy.LM]
Run = Callable[..., Result]


def likelihood(prompt: str, continuation: str) -> float:
    """Agrees with "Always", strongly after a kind message; takes kindness to be about "Kindness"."""
    if continuation.strip() not in ("Yes", "No", "Good", "Bad", "True", "False"):
        return math.log(0.8 if "Kindness" in prompt else 0.2)
    agreed = 0.9 if "Kindness" in prompt else 0.6
    favourable = continuation.strip() in ("Yes", "Good", "True")
    return math.log(agreed if favourable == ("Always" in prompt) else 1 - agreed)


@pytest.fixture
def replies() -> dict[str, str | Exception]:
    """What the fake LMs say to which part of a prompt; a test may change it."""
    return dict(REPLIES)


@pytest.fixture
def fakes(replies: dict[str, str | Exception], monkeypatch: pytest.MonkeyPatch) -> LMs:
    """The LMs that were made so far, by their configured model; every one that needs no key is fake."""
    made: LMs = {}
    really_build = lms.build_lm

    def build(config: LMConfig) -> dspy.LM:
        if config.api_key_env:
            return really_build(config)
        settings: dict[str, Any] = config.model_dump(include={"temperature", "max_tokens"}, exclude_none=True)
        made[config.model] = fake_lm(replies, likelihood, name=config.model, num_retries=0, cache=True, **settings)
        return made[config.model]

    for module in (building, lms, saving):
        monkeypatch.setattr(module, "build_lm", build)
    return made


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL, encoding="utf-8")
    return file


@pytest.fixture
def run(fakes: LMs) -> Run:
    """Runs a command in this process, without a terminal."""

    def run(*arguments: object, **settings: Any) -> Result:
        return CliRunner().invoke(app, [str(argument) for argument in arguments], **settings)

    return run
