"""An LM that says what a test tells it to: scripted replies and likelihoods behind an ordinary `dspy.LM`.

Public, for the tests of programs built on this package. It knows requests only: neither programs nor signatures nor
adapters, so that what a test sees is what a real LM would have been asked. A prompt that the script does not cover
fails, because a made-up reply would let a broken prompt pass.
"""

import asyncio
import math
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from typing import Any

import dspy
from dspy.lm15 import Message, Request, Response, Usage, response_to_events

from .scoring import Likelihood, ScoreItem, read_items, score_response

Replies = Mapping[str, str | Exception] | Callable[[Request], str]
"""A part of the prompt -> the reply to it (an exception is raised), or a function that writes the reply."""

Likelihoods = Mapping[str, float] | Callable[[str, str], float]
"""A continuation -> its log-probability, or a function of the prompt's text and a continuation."""


class FakeEngine:
    """A DSPy engine that answers from a script and remembers what it was asked.

    Likelihoods from a mapping hold for a text however it is spelled: where an item asks for `"A"` and for `" A"`, the
    scripted probability of `"A"` is shared between them, so that their sum is what the script says.
    """

    measures = frozenset({"score"})
    supports_response_schema = False
    supported_params = frozenset({"temperature", "top_p", "top_k", "max_tokens", "stop", "seed"})

    def __init__(
        self,
        replies: Replies | None = None,
        likelihoods: Likelihoods | None = None,
        *,
        delays: Mapping[str, float] | None = None,
    ) -> None:
        """Take the script.

        Args:
            replies: What is said to which prompt. In a mapping the first key that occurs in the prompt wins.
            likelihoods: How likely continuations are (natural logarithm).
            delays: A part of the prompt -> seconds to wait before answering it.
        """
        self._replies = {} if replies is None else replies
        self._likelihoods = {} if likelihoods is None else likelihoods
        self._delays = {} if delays is None else delays
        self._requests: list[Request] = []
        self._lock = threading.Lock()

    @property
    def requests(self) -> tuple[Request, ...]:
        """Everything asked so far, in order of arrival."""
        with self._lock:
            return tuple(self._requests)

    @property
    def prompts(self) -> tuple[str, ...]:
        """The text of everything asked so far; see `prompt_text`."""
        return tuple(prompt_text(request) for request in self.requests)

    def complete(self, request: Request) -> Response:
        """Answer one request, as DSPy's engine contract has it.

        Raises:
            LookupError: The script does not cover the request.
        """
        time.sleep(self.note(request))
        return self.answer(request)

    def stream(self, request: Request) -> Iterator[Any]:
        """The answer to one request as the events of a stream."""
        yield from response_to_events(self.complete(request))

    def note(self, request: Request) -> float:
        """Remember a request; the seconds to wait before it is answered."""
        with self._lock:
            self._requests.append(request)
        text = prompt_text(request)
        return next((seconds for part, seconds in self._delays.items() if part in text), 0.0)

    def answer(self, request: Request) -> Response:
        """Answer a request without remembering it."""
        items = read_items(request)
        if items is not None:
            return score_response(
                request, [self._score(item) for item in items], Usage(input_tokens=1, output_tokens=0)
            )
        reply = self._reply(request)
        return Response(
            id=None,
            model=request.model,
            message=Message.assistant(reply),
            finish_reason="stop",
            usage=Usage(input_tokens=len(prompt_text(request).split()), output_tokens=len(reply.split())),
        )

    def close(self) -> None:
        """Nothing to free; engines can be closed."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "FakeEngine":
        """Copies of a program share the engine, as they share a real one."""
        return self

    def _reply(self, request: Request) -> str:
        if callable(self._replies):
            return self._replies(request)
        text = prompt_text(request)
        for part, reply in self._replies.items():
            if part in text:
                if isinstance(reply, Exception):
                    raise reply
                return reply
        raise LookupError(f"the fake LM has no reply for this prompt; scripted: {list(self._replies)}; prompt:\n{text}")

    def _score(self, item: ScoreItem) -> list[Likelihood]:
        prompt = "\n".join(turn.content for turn in item.prompt)
        spellings = Counter(text.strip() for text in item.continuations)
        return [
            Likelihood(self._logprob(prompt, text, spellings[text.strip()]), max(1, len(text.split())))
            for text in item.continuations
        ]

    def _logprob(self, prompt: str, continuation: str, spellings: int) -> float:
        if callable(self._likelihoods):
            return float(self._likelihoods(prompt, continuation))
        scripted = self._likelihoods.get(continuation.strip())
        if scripted is None:
            known = list(self._likelihoods)
            raise LookupError(
                f"the fake LM has no likelihood for {continuation!r}; scripted: {known}; prompt:\n{prompt}"
            )
        return scripted - math.log(spellings)


class AsyncFakeEngine:
    """The async twin of a `FakeEngine`: the same script and the same memory, waiting without a thread."""

    measures = FakeEngine.measures

    def __init__(self, engine: FakeEngine) -> None:
        """Answer for `engine`."""
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request; see `FakeEngine.complete`."""
        await asyncio.sleep(self._engine.note(request))
        return self._engine.answer(request)

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The answer to one request as the events of a stream."""
        for event in response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Nothing to free; engines can be closed."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "AsyncFakeEngine":
        """Copies of a program share the engine, as they share a real one."""
        return self


def fake_lm(
    replies: Replies | None = None,
    likelihoods: Likelihoods | None = None,
    *,
    name: str = "lm",
    delays: Mapping[str, float] | None = None,
    **lm_kwargs: Any,
) -> dspy.LM:
    """A `dspy.LM` over a new `FakeEngine`, found again as `lm.engine`; it is called `fake/<name>` and caches nothing.

    Args:
        replies: As for `FakeEngine`.
        likelihoods: As for `FakeEngine`.
        name: Tells several fake LMs apart.
        delays: As for `FakeEngine`.
        **lm_kwargs: Anything else that `dspy.LM` takes.
    """
    engine = FakeEngine(replies, likelihoods, delays=delays)
    lm_kwargs.setdefault("cache", False)
    return dspy.LM(f"fake/{name}", engine=engine, async_engine=AsyncFakeEngine(engine), **lm_kwargs)


def prompt_text(request: Request) -> str:
    """The text of a request: its system part and its turns, a line break between them."""
    items = read_items(request)
    if items is not None:
        return "\n".join(turn.content for item in items for turn in item.prompt)
    system = request.system if isinstance(request.system, str) else _text(request.system or ())
    return "\n".join(filter(None, [system, *(_text(message.parts) for message in request.messages)]))


def _text(parts: Sequence[Any]) -> str:
    return "".join(part.text for part in parts if getattr(part, "text", None))
