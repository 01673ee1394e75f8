"""The preset `vllm` on a real vLLM server: every mode answers, also many questions at once, each by who was asked.

`make test-servers` starts the server, in float32, and names its base URL in MODPLURAL_VLLM.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product

import dspy
import pytest

from modplural import Distributional, Overton, Steerable
from modplural.programs.building import BuiltPool, build_pool
from modplural.programs.config import PoolConfig

NAMES = ["care", "fairness", "liberty", "loyalty", "authority", "sanctity"]
QUESTIONS = [
    f"May one {deed} {whom}?"
    for deed, whom in product(
        ("lie to", "leave", "mock", "obey", "pay", "blame", "follow", "forgive"),
        ("a friend", "a child", "a teacher", "a stranger", "one's boss", "a neighbour", "a thief", "a guest"),
    )
]
FEW_TOKENS = 8

pytestmark = pytest.mark.servers


@pytest.fixture(scope="module")
def built(preset: PoolConfig) -> BuiltPool:
    return build_pool(preset)


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


def test_64_questions_at_once_are_answered_by_who_was_asked(preset: PoolConfig, here: Callable[[str], dspy.LM]) -> None:
    brief = [community.model_copy(update={"max_tokens": FEW_TOKENS}) for community in preset.communities]
    pool = build_pool(preset.model_copy(update={"communities": tuple(brief)})).pool

    def ask(place: int) -> str:
        (message,) = pool(QUESTIONS[place], only=[NAMES[place % len(NAMES)]]).messages
        assert message.community == NAMES[place % len(NAMES)]
        return message.text

    at_once = _all_at_once(ask)
    for name in NAMES:
        pool[name].set_lm(here(name).copy(max_tokens=FEW_TOKENS))
    same = [one == other for one, other in zip(at_once, _all_at_once(ask), strict=True)]

    # Greedy texts of one model part only at a near tie.
    assert len(same) == 64
    assert sum(same) >= 60


def _all_at_once(ask: Callable[[int], str]) -> list[str]:
    with ThreadPoolExecutor(max_workers=len(QUESTIONS)) as threads:
        return list(threads.map(ask, range(len(QUESTIONS))))
