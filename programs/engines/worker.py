"""One thread that owns a model and serves everybody: requests gather into batches while it works.

Generations decode together, one token a round; between rounds new ones join, finished ones leave, and likelihood
questions take their turns. The thread sleeps when there is nothing to do. This file knows when to run what; it must not
know what a request says.
"""

from __future__ import annotations

import gc
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from .backbone import Backbone
from .generation import Generated, GenerationSpec, Generations, Row
from .likelihood import TokenItem, TokenTree, plant, score_trees
from .scoring import Likelihood

logger = logging.getLogger(__name__)

_LINGER_S = 0.002
_LONGEST_LINGER_S = 0.010
_CPU_CACHE_BYTES = 2 * 1024**3


class EngineClosedError(RuntimeError):
    """The engine was closed while or before a request ran."""


@dataclass(frozen=True)
class Limits:
    """What bounds a batch.

    Attributes:
        rows: Most generations decoding together.
        forward_tokens: Most tokens (rows x longest) of a prefill or likelihood pass, unless one row alone is longer.
        cache_cells: Most key/value cache positions (rows x longest) of the running generations.
    """

    rows: int
    forward_tokens: int
    cache_cells: int


def default_limits(backbone: Backbone) -> Limits:
    """Limits that suit the device: more rows and longer passes on CUDA, and a share of the memory for the cache."""
    if backbone.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(backbone.device)
        return Limits(rows=256, forward_tokens=16384, cache_cells=int(0.6 * free) // backbone.cell_bytes)
    return Limits(rows=64, forward_tokens=2048, cache_cells=_CPU_CACHE_BYTES // backbone.cell_bytes)


@dataclass(eq=False)
class GenerateJob:
    """A generation to run, and where its result goes. `adapter` is the folder behind the spec's adapter key."""

    spec: GenerationSpec
    adapter: Path | None
    future: Future[Generated] = field(default_factory=Future)


@dataclass(eq=False)
class ScoreJob:
    """Likelihoods to measure, and where they go."""

    items: Sequence[TokenItem]
    key: str | None
    adapter: Path | None
    future: Future[ScoreResult] = field(default_factory=Future)


@dataclass(frozen=True)
class ScoreResult:
    """One list of likelihoods per item, and the number of tokens that were run."""

    scores: list[list[Likelihood]]
    tokens: int


@dataclass(eq=False)
class _Scoring:
    """A likelihood job under way: its trees, and what has been measured of each."""

    job: ScoreJob
    trees: list[TokenTree]
    measured: dict[int, list[Likelihood]] = field(default_factory=dict)

    def finish(self) -> None:
        flat = iter([score for index in range(len(self.trees)) for score in self.measured[index]])
        scores = [[next(flat) for _ in item.continuations] for item in self.job.items]
        _resolve(self.job.future, ScoreResult(scores, sum(len(tree.tokens) for tree in self.trees)))


class Worker:
    """The thread, its inbox and its way to stop."""

    def __init__(self, load: Callable[[], Backbone], limits: Callable[[Backbone], Limits]) -> None:
        """A worker that will load its model on the first request."""
        self._load = load
        self._limits = limits
        self._inbox: deque[GenerateJob | ScoreJob] = deque()
        self._wake = threading.Condition()
        self._closed = False
        self._thread: threading.Thread | None = None
        self._loaded: Future[Backbone] = Future()

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        return self._closed

    def backbone(self) -> Backbone:
        """The loaded model, for reading only; loads it on the first call and waits for it."""
        return self._start().result()

    def submit(self, job: GenerateJob | ScoreJob) -> None:
        """Queue a job; its future tells how it went."""
        self._start()
        with self._wake:
            if self._closed:
                raise EngineClosedError("the engine was closed")
            self._inbox.append(job)
            self._wake.notify()

    def close(self) -> None:
        """Stop after the pass under way, fail what is left and free the model. Closing twice is harmless."""
        with self._wake:
            self._closed = True
            self._wake.notify()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()
            gc.collect()  # modules and their hooks refer to each other
            if torch.cuda.is_available():
                torch.cuda.empty_cache()

    def _start(self) -> Future[Backbone]:
        with self._wake:
            if self._closed:
                raise EngineClosedError("the engine was closed")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="modplural-engine", daemon=True)
                self._thread.start()
            return self._loaded

    @torch.inference_mode()
    def _run(self) -> None:
        try:
            backbone = self._load()
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            with self._wake:
                self._thread, loaded, self._loaded = None, self._loaded, Future()
            _fail(loaded, error)
            return
        self._loaded.set_result(backbone)
        rounds = _Rounds(backbone, self._limits(backbone))
        while self._collect(rounds):
            rounds.run()
        rounds.abandon(EngineClosedError("the engine was closed before this request was done"))
        self._loaded = Future()

    def _collect(self, rounds: _Rounds) -> bool:
        """Move the inbox to the rounds, sleeping while there is nothing at all to do; False when closed."""
        with self._wake:
            if not rounds.busy and not self._closed:
                while not self._inbox and not self._closed:
                    self._wake.wait()
                self._linger()
            arrived = list(self._inbox)
            self._inbox.clear()
        for job in arrived:
            rounds.take(job)
        return not self._closed

    def _linger(self) -> None:
        """Wait a moment while more requests keep arriving, so that a burst starts as one batch."""
        end = time.monotonic() + _LONGEST_LINGER_S
        seen = 0
        while len(self._inbox) > seen and not self._closed and time.monotonic() < end:
            seen = len(self._inbox)
            self._wake.wait(_LINGER_S)


class _Rounds:
    """The work at hand, and which of it runs next."""

    def __init__(self, backbone: Backbone, limits: Limits) -> None:
        self._backbone = backbone
        self._limits = limits
        self._generations = Generations(backbone, limits.rows, limits.cache_cells)
        self._waiting: deque[GenerateJob] = deque()
        self._running: dict[Row, GenerateJob] = {}
        self._scoring: deque[tuple[_Scoring, int]] = deque()
        self._scoring_s = 0.0
        self._decoding_s = 0.0

    @property
    def busy(self) -> bool:
        return bool(self._waiting or self._running or self._scoring)

    def take(self, job: GenerateJob | ScoreJob) -> None:
        """Accept a job, or fail it alone where its adapter does not fit."""
        try:
            if job.adapter is not None:
                self._backbone.load_adapter(job.spec.adapter if isinstance(job, GenerateJob) else job.key, job.adapter)
        except Exception as error:  # noqa: BLE001 - this request alone fails
            _fail(job.future, error)
            return
        if isinstance(job, GenerateJob):
            self._waiting.append(job)
        else:
            scoring = _Scoring(job, plant(job.items, self._limits.forward_tokens))
            self._scoring.extend((scoring, index) for index in range(len(scoring.trees)))

    def run(self) -> None:
        """One round: a likelihood pass, then one token of every generation; each gets its share of the time."""
        self._forget_cancelled()
        generating = bool(self._waiting or self._running)
        if not (generating and self._scoring):
            self._scoring_s = self._decoding_s = 0.0
        if self._scoring and (not generating or self._scoring_s <= self._decoding_s):
            start = time.monotonic()
            self._score()
            self._scoring_s += time.monotonic() - start
        if generating:
            start = time.monotonic()
            self._admit()
            if self._running:
                self._guarded(self._generations.step, list(self._running))
            self._decoding_s += time.monotonic() - start

    def abandon(self, error: Exception) -> None:
        """Fail whatever is left."""
        for job in [*self._waiting, *self._running.values(), *(scoring.job for scoring, _ in self._scoring)]:
            _fail(job.future, error)

    def _score(self) -> None:
        batch = self._next_trees()
        trees = [scoring.trees[index] for scoring, index in batch]
        try:
            measured = score_trees(self._backbone, trees, [scoring.job.key for scoring, _ in batch])
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            for scoring, _ in batch:
                _fail(scoring.job.future, error)
            return
        for (scoring, index), scores in zip(batch, measured, strict=True):
            scoring.measured[index] = scores
            if len(scoring.measured) == len(scoring.trees):
                scoring.finish()

    def _next_trees(self) -> list[tuple[_Scoring, int]]:
        """The oldest tree and those nearest to its length: the less padding, the more rows for the same work."""

        def length(entry: tuple[_Scoring, int]) -> int:
            return len(entry[0].trees[entry[1]].tokens)

        head = self._scoring.popleft()
        batch, width = [head], length(head)
        for entry in sorted(self._scoring, key=lambda entry: abs(length(entry) - length(head))):
            width = max(width, length(entry))
            if (len(batch) + 1) * width > self._limits.forward_tokens:
                break
            batch.append(entry)
        taken = set(map(id, batch))
        self._scoring = deque(entry for entry in self._scoring if id(entry) not in taken)
        return batch

    def _admit(self) -> None:
        """Let waiting generations join in the order they came, as far as the limits allow."""
        joining: list[GenerateJob] = []
        while self._waiting:
            specs = [job.spec for job in [*joining, self._waiting[0]]]
            tokens = len(specs) * max(len(spec.prompt) for spec in specs)
            if not self._generations.fits(specs) or (joining and tokens > self._limits.forward_tokens):
                break
            joining.append(self._waiting.popleft())
        if joining:
            rows = {Row(job.spec): job for job in joining}
            self._running.update(rows)
            self._guarded(lambda: self._generations.join(list(rows)), list(rows))

    def _guarded(self, advance: Callable[[], list[Row]], concerned: list[Row]) -> None:
        try:
            done = advance()
        except Exception as error:  # noqa: BLE001 - whoever asked gets it
            for row in concerned:
                _fail(self._running.pop(row).future, error)
                if row in self._generations.rows:
                    self._generations.leave(row)
            return
        for row in done:
            assert row.result is not None
            _resolve(self._running.pop(row).future, row.result)

    def _forget_cancelled(self) -> None:
        self._waiting = deque(job for job in self._waiting if not job.future.cancelled())
        self._scoring = deque(entry for entry in self._scoring if not entry[0].job.future.done())
        for row in [row for row, job in self._running.items() if job.future.cancelled()]:
            del self._running[row]
            self._generations.leave(row)


def _resolve(future: Future[Any], result: object) -> None:
    try:
        future.set_result(result)
    except InvalidStateError:
        logger.debug("a result came after its request was cancelled")


def _fail(future: Future[Any], error: Exception) -> None:
    try:
        future.set_exception(error)
    except InvalidStateError:
        logger.debug("an error came after its request was cancelled: %s", error)
