"""The in-process engine: DSPy's engine contract over one shared model and, for each engine, at most one adapter.

Engines of the same base share one worker, so that requests to different adapters meet in one batch and the base
weights are in memory once. This file binds requests, model sources and the worker together; each of them is described
elsewhere.
"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import dspy
from dspy.lm15 import (
    ConfigurationError,
    InvalidRequestError,
    LM15Error,
    ProviderError,
    Request,
    Response,
    UnsupportedModelError,
    Usage,
    response_to_events,
)

from .backbone import ModelFacts, load_backbone
from .devices import check_names, find_device, same_device
from .draws import CountSamples, own_seed, sample_done
from .judgments import declared_judgments, judgments_response
from .likelihood import TokenItem
from .lora import AdapterError
from .lora_files import resolve_adapter
from .models import ModelSource, WeightsError, model_string, resolve_model
from .prompts import PromptError
from .scoring import EXTENSION, ScoreItem, Turn, read_items, score_response
from .translate import SUPPORTED, check_fits, check_supported, generated_response, generation_spec, read_turns
from .worker import EngineClosedError, GenerateJob, ScoreJob, ScoreResult, Worker, default_limits

_PREFIX = "local/"


@dataclass(frozen=True)
class _Started:
    """A request under way: the worker's future, and how its result becomes a response."""

    future: Future[Any]
    respond: Callable[[Any], Response]

    def wait(self) -> Response:
        """Block until it is done; whoever is interrupted meanwhile takes it out of its batch."""
        try:
            return self.respond(self.future.result())
        finally:
            self.future.cancel()

    async def awaited(self) -> Response:
        """The same for a task, whose cancellation reaches the future."""
        return self.respond(await asyncio.wrap_future(self.future))


class LocalEngine:
    """A DSPy engine that runs a model in this process.

    Requests from any number of threads and tasks, for this and for other adapters of the same base, are gathered into
    common batches. Besides generation it answers likelihood questions (`modplural.programs.engines.scoring`) and
    declared judgments, from logits, without generating.
    """

    measures = frozenset({EXTENSION})
    supports_response_schema = False
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED

    def __init__(
        self, model: str, *, adapter: str | None = None, device: str | None = None, dtype: str | None = None
    ) -> None:
        """Name the model; it is loaded by the first request.

        Args:
            model: `local/` and an embedded name, a folder, or a hub id.
            adapter: Folder or hub id of a PEFT LoRA adapter on that model.
            device: Such as "cpu" or "cuda:0"; chosen automatically when None.
            dtype: Such as "float32"; chosen automatically when None.

        Raises:
            ValueError: The model, adapter, device or dtype cannot be found or used; the message says why.
        """
        check_names(device, dtype)
        if device is not None:
            find_device(device)
        if not model.startswith(_PREFIX):
            raise ValueError(
                f"the in-process engine runs models named {_PREFIX}<name, folder or hub id>, not {model!r}"
            )
        self._state = {"model": model, "adapter": adapter, "device": device, "dtype": dtype}
        self._source = resolve_model(model.removeprefix(_PREFIX))
        self._adapter = None if adapter is None else resolve_adapter(adapter)
        self._lease = _lease(self._source, device, dtype)

    @property
    def model(self) -> str:
        """The DSPy model string, with the revisions of base and adapter, so that caches never mix."""
        dtype = self._state["dtype"]
        return model_string(self._source, self._adapter) + (f"~{dtype}" if dtype else "")

    def complete(self, request: Request) -> Response:
        """Answer one request; blocks until it is done."""
        with _canonical_errors(request.model):
            response = self._start(request).wait()
            sample_done()
            return response

    def stream(self, request: Request) -> Iterator[Any]:
        """The events of a completed answer."""
        return response_to_events(self.complete(request))

    def close(self) -> None:
        """Stop the shared worker and free the model; engines of the same base are closed with it."""
        self._lease.worker.close()

    def dump_state(self) -> dict[str, Any]:
        """How to make this engine again: names only."""
        return dict(self._state)

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Make the engine that `dump_state` described."""
        return cls(state["model"], adapter=state["adapter"], device=state["device"], dtype=state["dtype"])

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies of a program share the engine: weights are never copied."""
        return self

    def __getstate__(self) -> dict[str, Any]:
        """Pickled by name, without weights."""
        return self.dump_state()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Find the model again by name."""
        LocalEngine.__init__(self, **state)

    def _start(self, request: Request) -> _Started:
        check_supported(request)
        items = read_items(request)
        if items is not None:
            return self._score(items, lambda result: score_response(request, result.scores, _usage(result)))
        turns = read_turns(request)
        judgments = declared_judgments(request)
        if judgments:
            asked = [ScoreItem(judgment.asked_in(turns), judgment.keys) for judgment in judgments]
            return self._score(
                asked, lambda result: judgments_response(request, judgments, result.scores, _usage(result)), closed=True
            )
        return self._generate(request, turns)

    def _generate(self, request: Request, turns: Sequence[Turn]) -> _Started:
        facts = self._lease.worker.facts()
        prompt = facts.chat.encode(turns)
        spec = generation_spec(own_seed(request.config), prompt, self._key, facts.context)
        job = GenerateJob(spec, self._folder, self._revision)
        self._lease.worker.submit(job)
        return _Started(
            job.future, lambda result: generated_response(request, result, len(prompt), facts.chat.token_text)
        )

    def _score(
        self, items: Sequence[ScoreItem], respond: Callable[[ScoreResult], Response], closed: bool = False
    ) -> _Started:
        """Queue a likelihood job; `closed` scores the end of the turn with each continuation, so "1" is not "10"."""
        facts = self._lease.worker.facts()
        ending = (facts.turn_end,) if closed and facts.turn_end is not None else ()
        job = ScoreJob([_encoded(item, facts, ending) for item in items], self._key, self._folder, self._revision)
        self._lease.worker.submit(job)
        return _Started(job.future, respond)

    @property
    def _key(self) -> str | None:
        return None if self._adapter is None else f"{self._adapter.name}@{self._adapter.revision}"

    @property
    def _folder(self) -> Path | None:
        return None if self._adapter is None else self._adapter.path

    @property
    def _revision(self) -> str | None:
        return None if self._adapter is None else self._adapter.revision


class AsyncLocalEngine:
    """The async twin of an engine: the same worker and batches, awaited."""

    measures = LocalEngine.measures
    supports_response_schema = False
    supports_function_calling = False
    supports_reasoning = False
    supported_params = SUPPORTED

    def __init__(self, engine: LocalEngine) -> None:
        """Await what `engine` runs."""
        self._engine = engine

    async def complete(self, request: Request) -> Response:
        """Answer one request; cancelling the task takes it out of its batch."""
        with _canonical_errors(request.model):
            starting = asyncio.ensure_future(asyncio.to_thread(self._engine._start, request))
            try:
                started = await asyncio.shield(starting)
            except asyncio.CancelledError:
                starting.add_done_callback(_forget)  # the thread goes on and will have queued the request
                raise
            response = await started.awaited()
            sample_done()
            return response

    async def stream(self, request: Request) -> AsyncIterator[Any]:
        """The events of a completed answer."""
        for event in response_to_events(await self.complete(request)):
            yield event

    async def aclose(self) -> None:
        """Close the engine."""
        await asyncio.to_thread(self._engine.close)

    def dump_state(self) -> dict[str, Any]:
        """How to make this engine again."""
        return self._engine.dump_state()

    @classmethod
    def load_state(cls, state: dict[str, Any]) -> Self:
        """Make the engine that `dump_state` described."""
        return cls(LocalEngine.load_state(state))

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies of a program share the engine."""
        return self


def local_lm(
    model: str,
    *,
    adapter: str | None = None,
    device: str | None = None,
    dtype: str | None = None,
    **settings: Any,
) -> dspy.LM:
    """A `dspy.LM` that runs in this process.

    Args:
        model: `local/` and an embedded name (`local/smollm2-135m-instruct`), a folder, or a hub id.
        adapter: Folder or hub id of a PEFT LoRA adapter; LMs on the same base share its weights and batches.
        device: Such as "cpu" or "cuda:0"; CUDA if there is one when None.
        dtype: Such as "float32"; bfloat16 where it is fast when None.
        settings: `dspy.LM` settings, such as temperature, max_tokens and cache. With `seed` and `n`, every sample has a
            seed of its own that follows from both.

    Raises:
        ValueError: The model or the adapter cannot be found or used; the message says why.
    """
    engine = LocalEngine(model, adapter=adapter, device=device, dtype=dtype)
    callbacks = [*(settings.pop("callbacks", None) or ()), CountSamples()]
    return dspy.LM(engine.model, engine=engine, async_engine=AsyncLocalEngine(engine), callbacks=callbacks, **settings)


def _forget(starting: asyncio.Future[_Started]) -> None:
    """Take a request that was started in vain out of its batch."""
    if not starting.cancelled() and starting.exception() is None:
        starting.result().future.cancel()


def _encoded(item: ScoreItem, facts: ModelFacts, ending: tuple[int, ...]) -> TokenItem:
    prompt = tuple(facts.chat.encode(item.prompt))
    continuations = tuple((*facts.chat.encode_continuation(text), *ending) for text in item.continuations)
    check_fits(len(prompt) + max(map(len, continuations)), facts.context)
    return TokenItem(prompt, continuations)


def _usage(result: ScoreResult) -> Usage:
    return Usage(input_tokens=result.tokens, output_tokens=0)


class _Lease:
    """A share in one worker: when the last engine lets go of it, the model is freed."""

    def __init__(self, source: ModelSource, device: str | None, dtype: str | None) -> None:
        self.worker = Worker(lambda: load_backbone(source.path(), device, dtype), default_limits)
        # Only told to stop: this may run in any thread, between any two lines, where waiting could lock up.
        weakref.finalize(self, self.worker.stop).atexit = False


_leases: weakref.WeakValueDictionary[tuple[str | None, ...], _Lease] = weakref.WeakValueDictionary()
_leases_lock = threading.Lock()


def _lease(source: ModelSource, device: str | None, dtype: str | None) -> _Lease:
    """The lease all engines of this base, device and dtype share: one copy of the weights."""
    key = (source.name, source.revision, same_device(device), dtype)
    with _leases_lock:
        lease = _leases.get(key)
        if lease is None or lease.worker.closed:
            lease = _leases[key] = _Lease(source, device, dtype)
        return lease


@contextmanager
def _canonical_errors(model: str) -> Iterator[None]:
    """Translate what can go wrong below into the errors that DSPy's engines speak."""
    try:
        yield
    except LM15Error:
        raise
    except (AdapterError, WeightsError) as error:
        raise UnsupportedModelError(str(error)) from error
    except PromptError as error:
        raise InvalidRequestError(str(error)) from error
    except EngineClosedError as error:
        raise ConfigurationError(f"{model}: {error}; make a new LM to use it again") from error
    except Exception as error:
        raise ProviderError(f"the in-process engine failed on {model}: {error!r}") from error
