"""The requests of a measurement: how a prompt is written down, and how requests are sent a few at a time.

This file knows LMs and their errors; it must not know what is measured or what a reply means.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import dspy
from dspy.lm15 import Config, Message, Request, Response
from dspy.utils.exceptions import ContextWindowExceededError, LMInvalidRequestError, LMUnsupportedFeatureError

from .cancelling import ended
from .engines.scoring import Likelihood, Turn
from .errors import redacted

_AT_ONCE = 8
_NO_LOGPROBS = "the strategies 'sampled' and 'verbalized' need no log-probabilities"
_measuring = contextvars.ContextVar("modplural_measuring", default=False)


class CannotMeasureError(RuntimeError):
    """A backend cannot measure what was asked; the message says what can be done.

    Attributes:
        lasting: Whether it lies in the backend, so that asking again would be in vain, and not in this question.
    """

    def __init__(self, model: str, problem: str, remedy: str = _NO_LOGPROBS, *, lasting: bool = False) -> None:
        """Say which LM, what went wrong, and what can be done about it."""
        super().__init__(f"{model}: {problem}; {remedy}")
        self.lasting = lasting


@dataclass(frozen=True)
class Ask:
    """One request of a measurement, and how its reply is read.

    `bulky` replies (a number for every token of the prompt) would fill DSPy's history and cache: they are kept out of
    both, and what was read from them, JSON data, is cached instead.
    """

    request: Request
    read: Callable[[Response], Any]
    bulky: bool = False


Plan = Generator[list[Ask], Any, list[list[Likelihood]]]
"""Yields requests round by round, is sent what was read from their replies, and returns a row per prompt."""


def chat_request(model: str, prompt: Sequence[Turn], config: Config) -> Request:
    """The request that asks `model` for the turn after `prompt`."""
    system = prompt[0].content if prompt[0].role == "system" else None
    turns = prompt if system is None else prompt[1:]
    return Request(model=model, system=system, messages=tuple(map(_message, turns)), config=config)


def _message(turn: Turn) -> Message:
    if turn.role == "assistant":
        return Message.assistant(turn.content)
    # A system turn that does not come first has no place in a request; "developer" is sent under the same role.
    return Message.user(turn.content) if turn.role == "user" else Message.developer(turn.content)


def ask_all(lm: dspy.BaseLM, asks: Sequence[Ask]) -> list[Any]:
    """What was read from each reply, in order; the first failure is raised, and requests not yet sent are dropped."""
    if len(asks) == 1:
        return [_ask(lm, asks[0])]
    with ThreadPoolExecutor(max_workers=_AT_ONCE, thread_name_prefix="modplural-measure") as pool:
        futures = [pool.submit(contextvars.copy_context().run, _ask, lm, ask) for ask in asks]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


async def aask_all(lm: dspy.BaseLM, asks: Sequence[Ask]) -> list[Any]:
    """The same as `ask_all`, awaited."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def gated(ask: Ask) -> Any:
        async with gate:
            return await _aask(lm, ask)

    tasks = [asyncio.ensure_future(gated(ask)) for ask in asks]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await ended(tasks)


def _ask(lm: dspy.BaseLM, ask: Ask) -> Any:
    with _guarded(lm), _unstreamed():
        if not ask.bulky:
            return ask.read(lm(ask.request))
        found = _recall(lm, ask)
        if found is None:
            with dspy.context(disable_history=True):
                found = ask.read(lm(ask.request, cache=False))
            _remember(lm, ask, found)
        return found


async def _aask(lm: dspy.BaseLM, ask: Ask) -> Any:
    with _guarded(lm), _unstreamed():
        if not ask.bulky:
            return ask.read(await lm.acall(ask.request))
        found = await asyncio.to_thread(_recall, lm, ask)
        if found is None:
            with dspy.context(disable_history=True):
                found = ask.read(await lm.acall(ask.request, cache=False))
            await asyncio.to_thread(_remember, lm, ask, found)
        return found


def _unstreamed() -> AbstractContextManager[None]:
    """What is measured is no text, of which DSPy could make a stream."""
    unstreamed: AbstractContextManager[None] = dspy.context(send_stream=None)
    return unstreamed


def _recall(lm: dspy.BaseLM, ask: Ask) -> Any:
    return dspy.cache.get(_key(lm, ask)) if lm.cache else None


def _remember(lm: dspy.BaseLM, ask: Ask, found: Any) -> None:
    if lm.cache:
        dspy.cache.put(_key(lm, ask), found)


def _key(lm: dspy.BaseLM, ask: Ask) -> dict[str, str]:
    """What tells a measurement from others; two servers may serve different models by one name."""
    return {"_fn_identifier": __name__, "server": server_of(lm), "request": repr(ask.request)}


def server_of(lm: dspy.BaseLM) -> str:
    """The address that an LM was given, as text also where it was given none."""
    return str(lm.kwargs.get("api_base") or lm.kwargs.get("base_url"))


@contextmanager
def _guarded(lm: dspy.BaseLM) -> Iterator[None]:
    """Keep DSPy from advising a larger max_tokens, and turn a refused request into an error that says what to do."""
    logger, silence = logging.getLogger("dspy.clients.lm"), _Silence()
    token = _measuring.set(True)
    logger.addFilter(silence)
    try:
        yield
    except ContextWindowExceededError:
        raise
    except (LMInvalidRequestError, LMUnsupportedFeatureError) as error:
        reason = redacted(error.message, lm)
        # The cause is left out: its text is the server's, which may repeat the key it was given.
        raise CannotMeasureError(lm.model, f"the request was refused ({reason})", lasting=True) from None
    finally:
        logger.removeFilter(silence)
        _measuring.reset(token)


class _Silence(logging.Filter):
    """Drops the truncation warning of measurements, whose one token is all they want; other calls keep theirs."""

    def filter(self, record: logging.LogRecord) -> bool:
        return not (_measuring.get() and "truncated" in record.getMessage())
