"""A program's answer in parts: every community's message as soon as it is there, then the prediction.

This file knows queues and programs; what becomes of the parts is for whoever asked.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence

import dspy

from .cancelling import ended
from .messages import Message
from .pool import listening
from .program import Program


async def streamed(
    program: Program, query: str, attribute: str | None = None, options: Sequence[str] | None = None
) -> AsyncIterator[Message | dspy.Prediction]:
    """Ask a program, and yield messages in the order in which they come, and its prediction last.

    Whoever stops listening ends the program: its calls are cancelled.

    Raises:
        Exception: Whatever the program raises, after the messages that came before it.
    """
    parts: asyncio.Queue[Message | dspy.Prediction | None] = asyncio.Queue()

    async def ask() -> None:
        try:
            with listening(parts.put_nowait):
                parts.put_nowait(await program.acall(query=query, attribute=attribute, options=options))
        finally:
            parts.put_nowait(None)

    asking = asyncio.create_task(ask())
    try:
        while (part := await parts.get()) is not None:
            yield part
        await asking
    finally:
        await ended([asking])
