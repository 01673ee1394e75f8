"""A memory of messages: what a community said about a query need not be asked again.

Within `remembering`, pools look into a memory before they ask. This file has the contract and says which memory is in
use; how messages are kept belongs to whoever brings one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Protocol

import dspy

if TYPE_CHECKING:
    from .community import CommunityLM


class Kept(Protocol):
    """The place of one answer in a memory."""

    def get(self, ask: Callable[[], dspy.Prediction]) -> dspy.Prediction:
        """The answer that is kept, or the one that `ask` gives, which is kept from then on."""
        ...

    async def aget(self, ask: Callable[[], Awaitable[dspy.Prediction]]) -> dspy.Prediction:
        """The same, awaited."""
        ...


class MessageMemory(Protocol):
    """Keeps what communities said. It is used from many threads and event loops at the same time."""

    def place(self, community: CommunityLM, query: str) -> Kept:
        """Where this community's message about this query is, or will be."""
        ...


_memory: ContextVar[MessageMemory | None] = ContextVar("modplural_message_memory", default=None)


@contextmanager
def remembering(memory: MessageMemory) -> Iterator[None]:
    """Within this block, every community is asked about a query only where `memory` has no message of it.

    An answer from a memory leaves nothing in DSPy's trace, so that no demos can be drawn from it.
    """
    token = _memory.set(memory)
    try:
        yield
    finally:
        _memory.reset(token)


def place_of(community: CommunityLM, query: str) -> Kept | None:
    """The place of a message in the memory in use; None where none is."""
    memory = _memory.get()
    return None if memory is None else memory.place(community, query)
