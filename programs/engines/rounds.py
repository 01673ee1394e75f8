"""What a model works on, and which of it runs next.

Generations decode together, one token a round; between rounds new ones join, finished ones leave, and likelihood
questions take their turns. This file knows jobs and one model; it must not know threads or what a request says.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, InvalidStateError
from dataclasses import dataclass, field
from pathlib import Path
from traceback import format_exception
from typing import Any, TypeVar

import torch

from .backbone import Backbone
from .generation import Generated, Generations, GenerationSpec, Row
from .likelihood import TokenItem, TokenTree, plant, score_trees
from .scoring import Likelihood

logger = logging.getLogger(__name__)

T = TypeVar("T")

_CPU_CACHE_BYTES = 2 * 1024**3

_PASS_TOKENS = 64
"""Padding in a pass that takes no longer than another pass would."""

_HELD_ROUNDS = 8
"""Most rounds for which those who wait are held back until some can join at once."""


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
    return Limits(rows=128, forward_tokens=2048, cache_cells=_CPU_CACHE_BYTES // backbone.cell_bytes)


@dataclass(eq=False)
class GenerateJob:
    """A generation to run, and where its result goes.

    `adapter` is the folder behind the spec's adapter key, and `revision` what its files must be where that matters.
    """

    spec: GenerationSpec
    adapter: Path | None
    revision: str | None = None
    future: Future[Generated] = field(default_factory=Future)

    @property
    def key(self) -> str | None:
        """Key of the adapter, None for the base model."""
        return self.spec.adapter


@dataclass(frozen=True)
class ScoreResult:
    """One list of likelihoods per item, and the number of tokens that were run."""

    scores: list[list[Likelihood]]
    tokens: int


@dataclass(eq=False)
class ScoreJob:
    """Likelihoods to measure, and where they go; `adapter` and `revision` as for a generation."""

    items: Sequence[TokenItem]
    key: str | None
    adapter: Path | None
    revision: str | None = None
    future: Future[ScoreResult] = field(default_factory=Future)


@dataclass(eq=False)
class _Scoring:
    """A likelihood job under way: its trees, and what has been measured of each."""

    job: ScoreJob
    trees: list[TokenTree]
    measured: dict[int, list[Likelihood]] = field(default_factory=dict)

    def record(self, index: int, scores: list[Likelihood]) -> None:
        """Take the likelihoods of one tree; the last one answers the job."""
        self.measured[index] = scores
        if len(self.measured) == len(self.trees):
            flat = iter([score for number in range(len(self.trees)) for score in self.measured[number]])
            scores_by_item = [[next(flat) for _ in item.continuations] for item in self.job.items]
            resolve(self.job.future, ScoreResult(scores_by_item, sum(len(tree.tokens) for tree in self.trees)))


@dataclass(frozen=True)
class _Planted:
    """One tree of a likelihood job, waiting for its pass."""

    scoring: _Scoring
    index: int

    @property
    def tree(self) -> TokenTree:
        return self.scoring.trees[self.index]


class Rounds:
    """The work at hand. One thread owns it, as it owns the model."""

    def __init__(self, backbone: Backbone, limits: Limits) -> None:
        """Nothing to do yet."""
        self._backbone = backbone
        self._limits = limits
        self._generations = Generations(backbone, limits.rows, limits.cache_cells)
        self._waiting: deque[GenerateJob] = deque()
        self._running: dict[Row, GenerateJob] = {}
        self._planted: deque[_Planted] = deque()
        self._scoring_s = 0.0
        self._decoding_s = 0.0
        self._held = 0

    @property
    def busy(self) -> bool:
        """Whether there is anything to run."""
        return bool(self._waiting or self._running or self._planted)

    def take(self, job: GenerateJob | ScoreJob) -> None:
        """Accept a job, or fail it alone where its adapter does not fit."""
        outcome = _attempt(lambda: self._accept(job))
        if isinstance(outcome, Exception):
            fail(job.future, outcome)

    def _accept(self, job: GenerateJob | ScoreJob) -> None:
        if job.key is not None and job.adapter is not None:
            self._backbone.load_adapter(job.key, job.adapter, job.revision)
        if isinstance(job, GenerateJob):
            self._waiting.append(job)
        else:
            scoring = _Scoring(job, plant(job.items, self._limits.forward_tokens))
            self._planted.extend(_Planted(scoring, index) for index in range(len(scoring.trees)))

    def run(self) -> None:
        """One round: a likelihood pass, then one token of every generation; each gets its share of the time."""
        self._forget_cancelled()
        generating = bool(self._waiting or self._running)
        if not (generating and self._planted):
            self._scoring_s = self._decoding_s = 0.0
        if self._planted and (not generating or self._scoring_s <= self._decoding_s):
            start = time.monotonic()
            self._score(self._next_trees())
            self._scoring_s += time.monotonic() - start
        if generating:
            start = time.monotonic()
            joining = self._admitted()
            if joining:
                self._join(joining)
            if self._running:
                self._step()
            self._decoding_s += time.monotonic() - start

    def abandon(self, error: BaseException) -> None:
        """Fail whatever is left."""
        left: list[GenerateJob | ScoreJob] = [*self._waiting, *self._running.values()]
        left += [planted.scoring.job for planted in self._planted]
        for job in left:
            fail(job.future, error)

    def _next_trees(self) -> list[_Planted]:
        """The oldest tree and those nearest to its length: the less padding, the more rows for the same work."""
        head = self._planted.popleft()
        batch, width = [head], len(head.tree.tokens)
        for planted in sorted(self._planted, key=lambda other: abs(len(other.tree.tokens) - len(head.tree.tokens))):
            width = max(width, len(planted.tree.tokens))
            if (len(batch) + 1) * width > self._limits.forward_tokens:
                break
            batch.append(planted)
        taken = set(map(id, batch))
        self._planted = deque(planted for planted in self._planted if id(planted) not in taken)
        return batch

    def _score(self, batch: Sequence[_Planted]) -> None:
        trees, keys = [planted.tree for planted in batch], [planted.scoring.job.key for planted in batch]
        outcome = _attempt(lambda: score_trees(self._backbone, trees, keys))
        if not isinstance(outcome, Exception):
            for planted, scores in zip(batch, outcome, strict=True):
                planted.scoring.record(planted.index, scores)
        elif len(batch) == 1:
            fail(batch[0].scoring.job.future, outcome)
        else:
            for part in _halves(batch):
                self._score(part)

    def _admitted(self) -> list[GenerateJob]:
        """The generation that has waited longest and those nearest to the length of its prompt, as far as limits allow.

        Beside a long prompt a short one is padded, and prompts one by one take twice as long as eight at once.
        """
        if not self._waiting or not self._generations.fits([self._waiting[0].spec]) or self._holds():
            return []
        head, *others = self._waiting
        joining, tokens, width = [head], len(head.spec.prompt), len(head.spec.prompt)
        for job in sorted(others, key=lambda other: abs(len(other.spec.prompt) - len(head.spec.prompt))):
            tokens, width = tokens + len(job.spec.prompt), max(width, len(job.spec.prompt))
            padded = (len(joining) + 1) * width
            if padded > self._limits.forward_tokens or padded - tokens > tokens / 4 + _PASS_TOKENS:
                break
            if not self._generations.fits([*(other.spec for other in joining), job.spec]):
                break
            joining.append(job)
        taken = set(map(id, joining))
        self._waiting = deque(job for job in self._waiting if id(job) not in taken)
        return joining

    def _holds(self) -> bool:
        """Whether a batch that is nearly full should let a few more rows leave before anybody joins it."""
        few = min(len(self._waiting), self._limits.rows // 16)
        if self._limits.rows - len(self._running) >= few or self._held == _HELD_ROUNDS:
            self._held = 0
            return False
        self._held += 1
        return True

    def _join(self, jobs: Sequence[GenerateJob]) -> None:
        rows = {Row(job.spec): job for job in jobs}
        outcome = _attempt(lambda: self._generations.join(list(rows)))
        if not isinstance(outcome, Exception):
            self._running.update(rows)
            self._finish(outcome)
        elif len(jobs) == 1:
            fail(jobs[0].future, outcome)
        else:
            for part in _halves(jobs):
                self._join(part)

    def _step(self) -> None:
        outcome = _attempt(self._generations.step)
        if not isinstance(outcome, Exception):
            self._finish(outcome)
            return
        for row, job in self._running.items():
            self._generations.leave(row)
            fail(job.future, outcome)
        self._running.clear()

    def _finish(self, rows: Sequence[Row]) -> None:
        for row in rows:
            resolve(self._running.pop(row).future, row.result)

    def _forget_cancelled(self) -> None:
        self._waiting = deque(job for job in self._waiting if not job.future.cancelled())
        self._planted = deque(planted for planted in self._planted if not planted.scoring.job.future.done())
        for row in [row for row, job in self._running.items() if job.future.cancelled()]:
            del self._running[row]
            self._generations.leave(row)


def _attempt(work: Callable[[], T]) -> T | Exception:
    """What some work gives, or the error it ends in."""
    try:
        return work()
    except Exception as error:
        return _detached(error)


def _detached(error: Exception) -> Exception:
    """An error with its lines as a note: whoever keeps it would keep their frames as well, and in them the model."""
    error.add_note("In the engine's thread:\n" + "".join(format_exception(error)))
    link: BaseException | None = error
    while link is not None:
        link.__traceback__ = None
        link = link.__cause__ or link.__context__
    return error


def _halves(batch: Sequence[T]) -> tuple[Sequence[T], Sequence[T]]:
    """A batch that failed is tried again in parts, so that what one request breaks or overfills fails alone."""
    middle = len(batch) // 2
    return batch[:middle], batch[middle:]


def resolve(future: Future[Any], result: object) -> None:
    """Give a result, unless the request was cancelled meanwhile."""
    try:
        future.set_result(result)
    except InvalidStateError:
        logger.debug("a result came after its request was cancelled")


def fail(future: Future[Any], error: BaseException) -> None:
    """Give an error, unless the request was cancelled meanwhile."""
    try:
        future.set_exception(error)
    except InvalidStateError:
        logger.debug("an error came after its request was cancelled: %s", error)
