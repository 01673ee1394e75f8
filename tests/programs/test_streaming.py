"""An answer in parts: messages as they come, the prediction last, and nothing left running when nobody listens."""

import asyncio
from typing import Any

import pytest

from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import CommunityError
from modplural.programs.messages import Message
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool
from modplural.programs.streaming import streamed


def overton(slow: float = 0.05, **settings: Any) -> Overton:
    delays = {"care": slow, "liberty": 0.0}
    pool = CommunityPool(
        CommunityLM(name, fake_lm({"": f"{name} speaks."}, name=name, delays={"": delay}, **settings))
        for name, delay in delays.items()
    )
    return Overton(fake_lm({"": "All of them."}, name="base"), pool)


async def test_messages_come_first_and_the_quick_ones_before_the_slow() -> None:
    *messages, prediction = [part async for part in streamed(overton(), "May I?")]
    assert messages == [Message("liberty", "liberty speaks."), Message("care", "care speaks.")]
    assert not isinstance(prediction, Message)
    assert prediction.response == "All of them."


async def test_a_failure_comes_after_what_was_said() -> None:
    program = overton()
    program.pool["care"].lm = fake_lm({"": RuntimeError("no")}, delays={"": 0.05}, num_retries=0)
    heard = []
    with pytest.raises(CommunityError):
        async for part in streamed(program, "May I?"):
            heard.append(part)
    assert heard == [Message("liberty", "liberty speaks.")]


async def test_who_stops_listening_ends_the_program() -> None:
    program = overton(slow=30.0)
    parts = streamed(program, "May I?")
    assert await anext(parts) == Message("liberty", "liberty speaks.")
    await parts.aclose()  # type: ignore[attr-defined]
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task() and not task.cancelling()] == []
