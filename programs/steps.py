"""Programs written once, run both ways: the logic of a program is a generator, and a driver asks the LMs for it.

A program yields batches of calls and receives their answers:

    def steps(self, query):
        (draft,) = yield [Call(self.draft, {"query": query}, self.base)]
        views = yield [Call(self.view, {"draft": draft.text}, lm, catch=True) for lm in self.lms]
        return dspy.Prediction(...)

`drive` runs such a generator in the calling thread and `adrive` in the running event loop. The calls of a batch are
asked together, so that an engine can serve them in one forward pass, and answered in order. This file knows how DSPy's
settings reach a call; it must not know what a program is for.
"""

import asyncio
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import AbstractContextManager
from contextvars import copy_context
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias, TypeVar

import dspy

from .adapters import PlainAdapter
from .cancelling import ended
from .hints import advised
from .memory import Kept

T = TypeVar("T")


@dataclass(frozen=True)
class Call:
    """One question to one LM.

    Attributes:
        predictor: What is asked: a `dspy.Predict` or any other module.
        inputs: Its keyword arguments.
        lm: Who is asked. Every call names its LM, because DSPy's optimizers drop or replace the LMs of predictors.
        catch: Whether a failure is an answer (the exception itself) instead of the end of the program.
        timeout: Seconds after which the call has failed. Without asyncio the call goes on unheard in its thread.
        answered: Told the answer as soon as it is there, in the driver's thread or event loop.
        kept: Where the answer is, or will be, kept; the LM is asked only where it is not there yet.
    """

    predictor: dspy.Module
    inputs: Mapping[str, Any]
    lm: dspy.LM
    catch: bool = False
    timeout: float | None = None
    answered: Callable[[dspy.Prediction], None] | None = None
    kept: Kept | None = None


Steps: TypeAlias = Generator[Sequence[Call], list[Any], T]
"""The logic of a program: yields batches of calls, receives their answers, returns the result."""


def drive(steps: Steps[T]) -> T:
    """Run a program to its end; the calls of a batch run in threads, a single one in the calling thread.

    A call that fails and is not caught is raised inside the generator, after the rest of its batch has ended.
    """
    try:
        calls = next(steps)
        while True:
            calls = _resume(steps, calls, _ask_all(calls))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


async def adrive(steps: Steps[T]) -> T:
    """Run a program to its end in the running event loop; the async twin of `drive`."""
    try:
        calls = next(steps)
        while True:
            calls = _resume(steps, calls, await _aask_all(calls))
    except StopIteration as end:
        return end.value
    finally:
        steps.close()


@dataclass
class _Outcome:
    """How one call ended: with a prediction or a failure, and with what it added to DSPy's trace."""

    answer: Any = None
    trace: list[Any] = field(default_factory=list)


def _resume(steps: Steps[T], calls: Sequence[Call], outcomes: Sequence[_Outcome]) -> Sequence[Call]:
    """Hand the outcomes of a batch to the program, which yields its next batch.

    Every call writes a trace of its own and they are joined in order here: optimizers draw demos from the trace, and
    what they draw must not depend on which LM was faster.
    """
    trace = dspy.settings.trace
    if trace is not None:
        trace.extend(entry for outcome in outcomes for entry in outcome.trace)
        del trace[: max(0, len(trace) - dspy.settings.max_trace_size)]
    for call, outcome in zip(calls, outcomes, strict=True):
        if isinstance(outcome.answer, Exception) and not call.catch:
            return steps.throw(outcome.answer)
    return steps.send([outcome.answer for outcome in outcomes])


def _ask_all(calls: Sequence[Call]) -> list[_Outcome]:
    if len(calls) == 1 and calls[0].timeout is None:
        return [_tell(calls[0], _ask(calls[0]))]
    started = time.monotonic()
    asked = {_ask_in_thread(call): call for call in calls}
    outcomes: dict[Future[_Outcome], _Outcome] = {}
    while waiting := asked.keys() - outcomes.keys():
        patience = min(_patience(asked[future]) for future in waiting) - (time.monotonic() - started)
        for future in wait(waiting, max(patience, 0), FIRST_COMPLETED).done:
            outcomes[future] = _tell(asked[future], future.result())
        elapsed = time.monotonic() - started
        late = [future for future in waiting - outcomes.keys() if _patience(asked[future]) <= elapsed]
        outcomes |= {future: _late(asked[future]) for future in late}
    return [outcomes[future] for future in asked]


def _ask_in_thread(call: Call) -> Future[_Outcome]:
    """Ask in a thread that sees the caller's context and does not keep the process alive when nobody waits for it."""
    future: Future[_Outcome] = Future()
    context = copy_context()

    def ask() -> _Outcome:
        with dspy.context(send_stream=None):  # DSPy's stream of tokens can be fed from its own thread only
            return _ask(call)

    def work() -> None:
        try:
            future.set_result(context.run(ask))
        except BaseException as error:  # a SystemExit must end the caller, not only this thread
            future.set_exception(error)

    threading.Thread(target=work, name="modplural-call", daemon=True).start()
    return future


def _ask(call: Call) -> _Outcome:
    outcome = _Outcome()
    call = _advised(call)
    try:
        with _settings(call, outcome):
            kept = _place(call)
            outcome.answer = _predict(call) if kept is None else kept.get(lambda: _predict(call))
    except Exception as error:
        outcome.answer = error
    return outcome


async def _aask_all(calls: Sequence[Call]) -> list[_Outcome]:
    tasks = [asyncio.create_task(_aask(call)) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        await ended(tasks)  # all have, unless a listener raised or the program was cancelled


async def _aask(call: Call) -> _Outcome:
    outcome = _Outcome()
    call = _advised(call)
    try:
        async with asyncio.timeout(call.timeout) as limit:
            with _settings(call, outcome):
                kept = _place(call)
                outcome.answer = await (_apredict(call) if kept is None else kept.aget(lambda: _apredict(call)))
    except Exception as error:
        outcome = _late(call) if limit.expired() else _Outcome(error, outcome.trace)
    return _tell(call, outcome)


def _advised(call: Call) -> Call:
    """The call with what DSPy advises; before our own adapter hides the one that brings it."""
    return replace(call, inputs=advised(call.predictor, call.inputs))


def _predict(call: Call) -> Any:
    return call.predictor(**_arguments(call))


async def _apredict(call: Call) -> Any:
    return await call.predictor.acall(**_arguments(call))


def _place(call: Call) -> Kept | None:
    """Where the answer is kept; nowhere when another sample is asked for."""
    return call.kept if call.kept is not None and _fresh(call) is call.lm else None


def _tell(call: Call, outcome: _Outcome) -> _Outcome:
    if call.answered is not None and not isinstance(outcome.answer, Exception):
        call.answered(outcome.answer)
    return outcome


def _patience(call: Call) -> float:
    return threading.TIMEOUT_MAX if call.timeout is None else call.timeout


def _late(call: Call) -> _Outcome:
    return _Outcome(TimeoutError(f"{call.lm.model} did not answer within {call.timeout:g} s"))


def _settings(call: Call, outcome: _Outcome) -> AbstractContextManager[None]:
    """The DSPy settings of one call.

    The adapter is always ours: a program compiled for one way of rendering prompts is not itself under another.
    """
    trace = None if dspy.settings.trace is None else outcome.trace
    settings: AbstractContextManager[None] = dspy.context(lm=_fresh(call), adapter=PlainAdapter(), trace=trace)
    return settings


def _arguments(call: Call) -> dict[str, Any]:
    """The inputs; a predictor that an optimizer gave an LM of its own is told ours by name, which comes first."""
    own = getattr(call.predictor, "lm", None)
    return dict(call.inputs) if own is None else {**call.inputs, "lm": _fresh(call)}


def _fresh(call: Call) -> dspy.LM:
    """The LM of a call, drawing anew where an optimizer asks for it.

    Optimizers ask for another sample of the same program by putting an LM with a `rollout_id` in DSPy's settings or on
    the predictors. The call keeps its own LM and takes over that number and the temperature that goes with it.
    """
    ambient = getattr(call.predictor, "lm", None) or dspy.settings.lm
    options = getattr(ambient, "kwargs", {})
    if options.get("rollout_id") is None:
        return call.lm
    draw = {name: options[name] for name in ("rollout_id", "temperature") if options.get(name) is not None}
    return call.lm.copy(**draw)
