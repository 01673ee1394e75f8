"""A memory of messages is looked into before a community is asked, in whatever program, and only while it is in use."""

from collections.abc import Awaitable, Callable

import dspy
import pytest

from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import FakeEngine, fake_lm
from modplural.programs.memory import remembering
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool


class Notes:
    """Remembers by name and query, and what it was asked for."""

    def __init__(self) -> None:
        self.said: dict[tuple[str, str], dspy.Prediction] = {}

    def place(self, community: CommunityLM, query: str) -> "Note":
        return Note(self, (community.name, query))


class Note:
    def __init__(self, notes: Notes, key: tuple[str, str]) -> None:
        self._notes, self._key = notes, key

    def get(self, ask: Callable[[], dspy.Prediction]) -> dspy.Prediction:
        if self._key not in self._notes.said:
            self._notes.said[self._key] = ask()
        return self._notes.said[self._key]

    async def aget(self, ask: Callable[[], Awaitable[dspy.Prediction]]) -> dspy.Prediction:
        if self._key not in self._notes.said:
            self._notes.said[self._key] = await ask()
        return self._notes.said[self._key]


@pytest.fixture
def voice() -> dspy.LM:
    return fake_lm({"": "Kindness first."}, name="voice")


@pytest.fixture
def overton(voice: dspy.LM) -> Overton:
    pool = CommunityPool(CommunityLM(name, voice, persona=f"For {name}.") for name in ("care", "duty"))
    return Overton(fake_lm({"": "It depends."}), pool)


def calls(lm: dspy.LM) -> int:
    assert isinstance(lm.engine, FakeEngine)
    return len(lm.engine.requests)


def test_communities_are_asked_once_and_the_base_llm_each_time(overton: Overton, voice: dspy.LM) -> None:
    notes = Notes()
    with remembering(notes):
        first, second = overton("Tea?"), overton("Tea?")
    assert first.messages == second.messages
    assert (calls(voice), calls(overton.base)) == (2, 2)
    assert set(notes.said) == {("care", "Tea?"), ("duty", "Tea?")}


async def test_the_async_twin_looks_into_the_same_memory(overton: Overton, voice: dspy.LM) -> None:
    with remembering(Notes()):
        first, second = overton("Tea?"), await overton.acall("Tea?")
    assert first.messages == second.messages
    assert calls(voice) == 2


def test_it_is_forgotten_where_it_is_not_in_use(overton: Overton, voice: dspy.LM) -> None:
    with remembering(Notes()):
        overton("Tea?")
    overton("Tea?")
    assert calls(voice) == 4


def test_what_is_remembered_leaves_no_trace(overton: Overton) -> None:
    with remembering(Notes()):
        with dspy.context(trace=[]):
            overton("Tea?")
            assert len(dspy.settings.trace) == 3
        with dspy.context(trace=[]):
            overton("Tea?")
            assert len(dspy.settings.trace) == 1


def test_another_sample_is_no_memory(overton: Overton, voice: dspy.LM) -> None:
    with remembering(Notes()):
        overton("Tea?")
        with dspy.context(lm=overton.base.copy(rollout_id=1, temperature=1.0)):
            overton("Tea?")
    assert calls(voice) == 4
