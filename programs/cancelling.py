"""Ends what was begun together when one part of it failed; this file knows asyncio alone."""

import asyncio
from collections.abc import Sequence
from typing import Any


async def ended(tasks: Sequence[asyncio.Task[Any]]) -> None:
    """Cancel what still runs and wait for it: a request under way would outlive its event loop, and its connection."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
