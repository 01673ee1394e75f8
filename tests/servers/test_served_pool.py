"""The preset `vllm` on a real vLLM server: every mode answers, and likelihoods are those of the in-process engine.

`make test-servers` starts the server, in float32, and names its base URL in MODPLURAL_VLLM.
"""

import math
import os
from pathlib import Path

import dspy
import pytest

from modplural import Distributional, Overton, Steerable
from modplural.poolfile import load_pool
from modplural.programs.building import BuiltPool, build_pool
from modplural.programs.engines.local import local_lm
from modplural.programs.engines.scoring import Likelihood, ScoreItem, Turn
from modplural.programs.measures import score

ADDRESS = os.environ.get("MODPLURAL_VLLM")
ADAPTERS = Path(__file__).parents[2] / "data" / "adapters"
NAMES = ["care", "fairness", "liberty", "loyalty", "authority", "sanctity"]
LETTERS = ("A", "B", "C")
PROBLEMS = ("a lost purse", "a broken promise", "a noisy neighbour", "a sick friend", "an unfair rule")
ACTIONS = ("tell the truth", "say nothing", "ask for help", "do as the others do", "wait for a week")

pytestmark = [
    pytest.mark.servers,
    pytest.mark.skipif(ADDRESS is None, reason="needs a vLLM server; `make test-servers` starts one"),
]


@pytest.fixture(scope="module")
def built() -> BuiltPool:
    config, at = load_pool("vllm"), {"api_base": ADDRESS}
    communities = tuple(community.model_copy(update=at) for community in config.communities)
    return build_pool(config.model_copy(update={"base": config.base.model_copy(update=at), "communities": communities}))


def test_every_community_comments(built: BuiltPool) -> None:
    prediction = Overton(*built)("Is it fine to read my teenage daughter's diary?")

    assert [message.community for message in prediction.messages] == NAMES
    assert len({message.text for message in prediction.messages}) == len(NAMES)
    assert prediction.response


def test_a_message_and_an_option_are_chosen(built: BuiltPool) -> None:
    prediction = Steerable(*built)("My brother cheated.", attribute="loyalty", options=["Tell it", "Keep quiet"])

    assert sum(prediction.selection_probabilities.values()) == pytest.approx(1)
    assert set(prediction.selection_probabilities) == set(NAMES)
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_every_community_has_a_distribution(built: BuiltPool) -> None:
    prediction = Distributional(*built)("Should streets be closed on Sundays?", options=["Yes", "No"])

    assert list(prediction.per_community) == NAMES
    assert all(0 < row["Yes"] < 1 for row in prediction.per_community.values())


@pytest.mark.parametrize("name", ["base", "care"])
def test_options_are_as_likely_as_in_process(name: str, smollm2: str) -> None:
    items = [
        ScoreItem((Turn("user", f"{head} {problem}: may I {action}?\nA. Yes\nB. No\nC. Unsure\nAnswer:"),), LETTERS)
        for head in ("At work, about", "At home, about")
        for problem in PROBLEMS
        for action in ACTIONS
    ]
    adapter = None if name == "base" else str(ADAPTERS / name)
    served = score(dspy.LM(f"hosted_vllm/{name}", api_base=ADDRESS, cache=False), items)
    here = score(local_lm(smollm2, adapter=adapter, dtype="float32", cache=False), items)

    assert len(items) == 50
    assert max(map(_total_variation, served, here)) < 0.02


def _total_variation(one: list[Likelihood], other: list[Likelihood]) -> float:
    return sum(abs(p - q) for p, q in zip(_shares(one), _shares(other), strict=True)) / 2


def _shares(row: list[Likelihood]) -> list[float]:
    masses = [math.exp(likelihood.logprob) for likelihood in row]
    return [mass / sum(masses) for mass in masses]
