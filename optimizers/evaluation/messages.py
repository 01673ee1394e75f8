"""The messages of an evaluation: each community is asked about each query once, whoever wants to hear it.

Methods, modes and tasks that ask about the same query share what was said, also across runs that continue one another.
This file knows how a message is awaited; how it comes about and where it is kept is known elsewhere.
"""

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass

import dspy

from ...programs.community import CommunityLM
from ...programs.messages import one_line
from ..fingerprint import fingerprint
from .store import Store
from .usage import Usage, counting, usage_of


class _AbandonedError(Exception):
    """Whoever was asking stopped, so that another one has to."""


class StoredMessages:
    """A memory of messages in the file of an evaluation; see `modplural.programs.memory`.

    Those who ask for the same message at the same time wait for one LM call. A message with nothing to be seen in it is
    not kept, and neither is a failure: both are tried again by the next who asks.
    """

    def __init__(self, store: Store) -> None:
        """Keep messages in `store`. While this is in use, communities must stay as they are."""
        self._store = store
        self._lock = threading.Lock()
        self._asked: dict[str, Future[dspy.Prediction]] = {}
        self._communities: dict[int, tuple[CommunityLM, str]] = {}

    def place(self, community: CommunityLM, query: str) -> "_Place":
        """Where this community's message about this query is, or will be."""
        key = _digest([self._identity(community), query])
        return _Place(self, key, community.name, query)

    def _identity(self, community: CommunityLM) -> str:
        """What tells it from others that would say something else; its description is no part of that."""
        known = self._communities.get(id(community))
        if known is None:
            described = fingerprint(community)
            said = {place: value for place, value in described.items() if place not in _NOT_HEARD}
            known = self._communities[id(community)] = (community, _digest(said))
        return known[1]

    def claim(self, key: str) -> tuple[Future[dspy.Prediction], bool]:
        """The future of a message, and whether whoever calls has to see to it."""
        with self._lock:
            future = self._asked.get(key)
            if future is not None:
                return future, False
            future = self._asked[key] = Future()
            return future, True

    def settle(self, key: str, outcome: dspy.Prediction | BaseException) -> None:
        """Tell those who wait."""
        with self._lock:
            future = self._asked.pop(key)
        if isinstance(outcome, Exception):
            future.set_exception(outcome)
        elif isinstance(outcome, BaseException):
            future.set_exception(_AbandonedError())
        else:
            future.set_result(outcome)

    def read(self, place: "_Place") -> dspy.Prediction | None:
        """A message that is kept."""
        found = self._store.message(place.key)
        return None if found is None else dspy.Prediction(message=found)

    def write(self, place: "_Place", answer: dspy.Prediction, usage: Usage) -> None:
        """Keep a message, if it says anything."""
        if one_line(str(answer.message)):
            self._store.keep_message(place.key, place.community, place.query, str(answer.message), usage)


@dataclass(frozen=True)
class _Place:
    """The place of one message."""

    memory: StoredMessages
    key: str
    community: str
    query: str

    def get(self, ask: Callable[[], dspy.Prediction]) -> dspy.Prediction:
        """The message that is kept or on its way, or a new one."""
        while True:
            future, mine = self.memory.claim(self.key)
            if mine:
                return self._fulfil(ask)
            try:
                return future.result()
            except _AbandonedError:
                continue

    async def aget(self, ask: Callable[[], Awaitable[dspy.Prediction]]) -> dspy.Prediction:
        """The same, awaited."""
        while True:
            future, mine = self.memory.claim(self.key)
            if mine:
                return await self._afulfil(ask)
            try:
                # Shielded: who stops waiting must not take the message from the others.
                return await asyncio.shield(asyncio.wrap_future(future))
            except _AbandonedError:
                continue

    def _fulfil(self, ask: Callable[[], dspy.Prediction]) -> dspy.Prediction:
        outcome: dspy.Prediction | BaseException = _AbandonedError()
        try:
            found = self.memory.read(self)
            outcome = found = self._new(ask) if found is None else found
            return found
        except BaseException as error:
            outcome = error
            raise
        finally:
            self.memory.settle(self.key, outcome)

    def _new(self, ask: Callable[[], dspy.Prediction]) -> dspy.Prediction:
        with counting() as tracker:
            answer = ask()
        self.memory.write(self, answer, usage_of(tracker))
        return answer

    async def _afulfil(self, ask: Callable[[], Awaitable[dspy.Prediction]]) -> dspy.Prediction:
        outcome: dspy.Prediction | BaseException = _AbandonedError()
        try:
            found = await asyncio.to_thread(self.memory.read, self)
            outcome = found = await self._anew(ask) if found is None else found
            return found
        except BaseException as error:
            outcome = error
            raise
        finally:
            self.memory.settle(self.key, outcome)

    async def _anew(self, ask: Callable[[], Awaitable[dspy.Prediction]]) -> dspy.Prediction:
        with counting() as tracker:
            answer = await ask()
        await asyncio.to_thread(self.memory.write, self, answer, usage_of(tracker))
        return answer


_NOT_HEARD = frozenset({"program.name", "program.description"})


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
