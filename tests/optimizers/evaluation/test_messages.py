"""A message is asked for once, whoever wants it, whenever, and from whatever thread or event loop."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest

from modplural.optimizers.evaluation.messages import StoredMessages
from modplural.optimizers.evaluation.store import Store
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import FakeEngine, fake_lm
from modplural.programs.memory import remembering
from modplural.programs.pool import CommunityPool, FailurePolicy


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evaluation.sqlite"


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with Store(path) as store:
        yield store


class Voices:
    """Two communities over one fake LM that takes a moment, and how often it was asked."""

    def __init__(self, *, seconds: float = 0.05, **replies: str | Exception) -> None:
        self.replies: dict[str, Any] = {"care": "Kind.", "fairness": "Fair.", **replies}
        self.lm = fake_lm(self.replies, delays={"": seconds}, num_retries=0)
        self.pool = self.make()

    def make(self) -> CommunityPool:
        return CommunityPool(CommunityLM(name, self.lm, persona=f"For {name}.") for name in ("care", "fairness"))

    @property
    def calls(self) -> int:
        assert isinstance(self.lm.engine, FakeEngine)
        return len(self.lm.engine.requests)

    async def asked(self, calls: int) -> None:
        """Wait until the LM was asked so often."""
        async with asyncio.timeout(5):
            while self.calls < calls:
                await asyncio.sleep(0.005)


def test_later_askers_are_told_what_was_said(store: Store) -> None:
    voices = Voices(seconds=0)
    with remembering(StoredMessages(store)):
        first, second = voices.pool("Tea?"), voices.make()("Tea?")
    assert first.messages == second.messages
    assert voices.calls == 2


def test_another_query_or_persona_is_another_message(store: Store) -> None:
    voices = Voices(seconds=0)
    with remembering(StoredMessages(store)):
        voices.pool("Tea?")
        voices.pool("Milk?")
        CommunityPool([CommunityLM("care", voices.lm, persona="For care, and short.")])("Tea?")
    assert voices.calls == 5


def test_a_name_and_a_description_are_not_heard(store: Store) -> None:
    voices = Voices(seconds=0)
    named = CommunityLM("kindness", voices.lm, persona="For care.", description="The kind ones.")
    with remembering(StoredMessages(store)):
        voices.pool("Tea?")
        assert CommunityPool([named])("Tea?").messages[0].community == "kindness"
    assert voices.calls == 2


def test_messages_outlive_the_process(path: Path) -> None:
    voices = Voices(seconds=0)
    for _ in range(2):
        with Store(path) as store, remembering(StoredMessages(store)):
            assert [message.text for message in voices.pool("Tea?").messages] == ["Kind.", "Fair."]
    assert voices.calls == 2


def test_threads_that_ask_at_the_same_time_share_one_call(store: Store) -> None:
    voices = Voices()
    with remembering(StoredMessages(store)), ThreadPoolExecutor(12) as threads:
        asked = [threads.submit(copy_context().run, voices.pool, "Tea?") for _ in range(12)]
        assert {tuple(one.text for one in asking.result().messages) for asking in asked} == {("Kind.", "Fair.")}
    assert voices.calls == 2


async def test_tasks_that_ask_at_the_same_time_share_one_call(store: Store) -> None:
    voices = Voices()
    with remembering(StoredMessages(store)):
        heard = await asyncio.gather(*(voices.pool.acall("Tea?") for _ in range(12)))
    assert {tuple(one.text for one in each.messages) for each in heard} == {("Kind.", "Fair.")}
    assert voices.calls == 2


async def test_threads_and_tasks_share_one_call(store: Store) -> None:
    voices = Voices(seconds=0.2)
    with remembering(StoredMessages(store)):
        in_thread = asyncio.to_thread(voices.pool, "Tea?")
        awaited, waited = await asyncio.gather(voices.pool.acall("Tea?"), in_thread)
    assert awaited.messages == waited.messages
    assert voices.calls == 2


async def test_who_stops_asking_leaves_it_to_those_who_wait(store: Store) -> None:
    voices = Voices(seconds=0.2)
    with remembering(StoredMessages(store)):
        first = asyncio.create_task(voices.pool.acall("Tea?"))
        await voices.asked(2)
        second = asyncio.create_task(voices.pool.acall("Tea?"))
        await asyncio.sleep(0.05)
        first.cancel()
        heard = await second
    assert [message.text for message in heard.messages] == ["Kind.", "Fair."]
    assert voices.calls == 4


async def test_who_stops_waiting_takes_nothing_from_the_others(store: Store) -> None:
    voices = Voices(seconds=0.2)
    with remembering(StoredMessages(store)):
        first = asyncio.create_task(voices.pool.acall("Tea?"))
        await voices.asked(2)
        second = asyncio.create_task(voices.pool.acall("Tea?"))
        await asyncio.sleep(0.05)
        second.cancel()
        assert len((await first).messages) == 2
    assert voices.calls == 2


def test_a_failure_is_not_kept(store: Store) -> None:
    voices = Voices(seconds=0, care=ConnectionError("gone"))
    go_on = FailurePolicy("continue")
    with remembering(StoredMessages(store)):
        assert list(voices.pool("Tea?", go_on).failures) == ["care"]
        voices.replies["care"] = "Kind again."
        assert [message.text for message in voices.pool("Tea?", go_on).messages] == ["Kind again.", "Fair."]


def test_those_who_wait_are_told_of_a_failure(store: Store) -> None:
    voices = Voices(care=ConnectionError("gone"))
    with remembering(StoredMessages(store)), ThreadPoolExecutor(6) as threads:
        asked = [threads.submit(copy_context().run, voices.pool, "Tea?", FailurePolicy("continue")) for _ in range(6)]
        assert all("gone" in asking.result().failures["care"] for asking in asked)


def test_a_message_with_nothing_in_it_is_not_kept(store: Store) -> None:
    voices = Voices(seconds=0, care="\u200b ")
    with remembering(StoredMessages(store)):
        assert "nothing in it" in voices.pool("Tea?", FailurePolicy("continue")).failures["care"]
        voices.replies["care"] = "Kind again."
        assert len(voices.pool("Tea?").messages) == 2


def test_another_sample_is_drawn_anew(store: Store) -> None:
    voices = Voices(seconds=0)
    with remembering(StoredMessages(store)):
        voices.pool("Tea?")
        drawing = voices.make()
        drawing.set_lm(voices.lm.copy(rollout_id=1, temperature=1.0))
        drawing("Tea?")
    assert voices.calls == 4


def test_without_a_memory_everybody_is_asked() -> None:
    voices = Voices(seconds=0)
    voices.pool("Tea?")
    voices.pool("Tea?")
    assert voices.calls == 4


def test_tokens_of_a_message_are_counted_with_it_and_once(store: Store) -> None:
    voices = Voices()
    with remembering(StoredMessages(store)), ThreadPoolExecutor(4) as threads:
        for asking in [threads.submit(copy_context().run, voices.pool, "Tea?") for _ in range(4)]:
            asking.result()
    assert store.usage()["fake/lm"].calls == 2


def test_a_late_message_is_kept_for_the_next(store: Store) -> None:
    """A community that takes too long fails its row; what it says in the end need not be asked again."""
    voices = Voices(seconds=0.3)
    hasty = FailurePolicy("continue", timeout=0.1)
    with remembering(StoredMessages(store)):
        with pytest.raises(Exception, match="0 of at least 1"):
            voices.pool("Tea?", hasty)
        deadline = time.monotonic() + 5
        while threading.active_count() > 1 and len(store.usage()) == 0 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.1)
        assert len(voices.pool("Tea?", hasty).messages) == 2
    assert voices.calls == 2
