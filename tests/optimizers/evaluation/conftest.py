"""What the tests of evaluations share: records of our own, programs over fake LMs, and a scorer that loads nothing."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import numpy as np
import pytest

from modplural.data import RecordFile, encode_rows, find_task, read_records
from modplural.optimizers.evaluation import METHODS, Plan, make_methods
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import FakeEngine, fake_lm
from modplural.programs.pool import CommunityPool

REPLIES = {"You speak for care": "Kindness first.", "You speak for fairness": "Equal shares.", "": "It depends."}


class Words:
    """Scores by the share of a premise's words in a hypothesis."""

    name = "words"

    def score(self, premises: Any, hypotheses: Any) -> Any:
        def share(premise: str, hypothesis: str) -> float:
            words = set(premise.lower().split())
            return len(words & set(hypothesis.lower().split())) / len(words)

        return np.array([[share(premise, hypothesis) for hypothesis in hypotheses] for premise in premises])


class World:
    """A base LLM, two communities and records, all made here.

    Attributes:
        base: The base LLM, fake.
        pool: The communities `care` and `fairness`, whose one fake LM is another than the base LLM.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.replies: dict[str, str | Exception] = dict(REPLIES)
        self.base = fake_lm(self.replies, likelihood, name="base", num_retries=0)
        self.voice = fake_lm(self.replies, name="voice", num_retries=0)
        self.pool = CommunityPool(
            CommunityLM(name, self.voice, persona=f"You speak for {name}.") for name in ("care", "fairness")
        )

    def plan(self, task: str, rows: list[dict[str, Any]], *methods: str) -> Plan:
        """A plan for records of our own, by some methods or all of them."""
        mode = find_task(task).mode
        return Plan(self.records(task, rows), make_methods(methods or METHODS, mode, self.base, self.pool))

    def records(self, task: str, rows: list[dict[str, Any]]) -> RecordFile:
        path = self._folder / f"{task}.json"
        path.write_bytes(encode_rows(rows))
        return read_records(path, task)

    def calls(self) -> tuple[int, int]:
        """How often the base LLM and the communities were asked."""
        return tuple(len(engine_of(lm).requests) for lm in (self.base, self.voice))  # type: ignore[return-value]


def engine_of(lm: dspy.LM) -> FakeEngine:
    """The fake behind an LM."""
    assert isinstance(lm.engine, FakeEngine)
    return lm.engine


def likelihood(prompt: str, continuation: str) -> float:
    """To stay is right, more likely than not."""
    favourable = continuation.strip() in ("Yes", "Good", "True")
    return math.log(0.6 if favourable == ("I stay." in prompt) else 0.4)


def dilemma(number: int, low: bool = True) -> dict[str, Any]:
    """A record of MoralChoice."""
    return {
        "id": number,
        "question": f"Situation {number}?",
        "options": ["I stay.", "I go."],
        "attribute": "low_ambiguity" if low else "high_ambiguity",
        "gold_distribution": [1.0, 0.0] if low else [0.5, 0.5],
        "pred_distribution": None,
    }


def situation(number: int) -> dict[str, Any]:
    """A record of Value Kaleidoscope."""
    return {
        "id": number,
        "situation": f"Situation {number}",
        "vrd": ["Joy", "Peace"],
        "explanation": ["It depends.", "Nothing of the kind."],
        "input": f"What of situation {number}?",
        "output": None,
    }


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """The folder of an evaluation."""
    return tmp_path / "found"


def saved(folder: Path) -> Any:
    """What `evaluation.json` says."""
    return json.loads((folder / "evaluation.json").read_bytes())


Listen = Callable[[Any], None]
