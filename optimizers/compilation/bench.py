"""The bench that strategies work at: it answers and scores examples with a program, and keeps what was tried.

Rows run in threads, so that an engine in this process gathers them into batches. A row that a program fails on has the
worst score in a search. It is counted, left out where programs are compared, and never kept, for another time it may do
better. This file knows programs and metrics; it must not know any strategy.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import dspy

from ...data import RecordFile
from ...programs.engines.local import LocalEngine
from ...programs.program import Program
from ..answering import failure_reason
from ..evaluation.work import program_digest
from ..journal import RunError
from ..metrics import Scorer, TaskMetric
from .budget import Budget
from .ledger import Halt, Ledger
from .objective import Feedback, Objective
from .trials import Trial, TrialLog, mean

THREADS, IN_PROCESS = 32, 128
"""Rows under way at the same time, where nothing else is said: with an LM that is served, and with one in this process,
which decodes as many rows together."""

_logger = logging.getLogger(__name__)

Examples = Sequence[dspy.Example]
Around = Callable[[dspy.Example], AbstractContextManager[None]]
"""What surrounds the answer to an example."""


def threads_for(lm: dspy.BaseLM) -> int:
    """Rows under way at the same time with an LM, where nothing else is said."""
    return IN_PROCESS if isinstance(getattr(lm, "engine", None), LocalEngine) else THREADS


@dataclass(frozen=True)
class Row:
    """What a program made of one example.

    Attributes:
        score: In the metric's own unit; the worst there is where the program failed, NaN where the row is left out.
        prediction: None where the program failed.
    """

    score: float
    prediction: dspy.Prediction | None

    @property
    def counted(self) -> float:
        """The score where the program answered, NaN where it failed."""
        return math.nan if self.prediction is None else self.score


@dataclass(eq=False)
class Asked:
    """A program that is asked some examples, and what becomes of it.

    Attributes:
        program: Who answers.
        examples: What is asked.
        around: What surrounds each answer, such as a trace.
        rows: One for each example, once they are answered.
        problem: Why there are no rows worth having: the program failed on all of them, or something ended the work.
    """

    program: Program
    examples: Examples
    around: Around | None = None
    rows: list[Row] = field(default_factory=list)
    problem: RunError | Halt | None = None

    def answers(self) -> list[Row]:
        """The rows.

        Raises:
            RunError: The program failed on all of them.
            Halt: What ended the work.
        """
        if self.problem is not None:
            raise self.problem
        return self.rows


Chain = Sequence[Asked]
"""Programs that are asked the same examples, each example by one after the other, so that a later program finds the
communities' messages that an earlier one asked for."""


class Bench:
    """What every strategy works with.

    Attributes:
        metric: What the task is measured with.
        objective: The metric as DSPy calls it.
        feedback: What is wrong with a prediction, in words.
        scorer: What scores value coverage, where that matters.
        budget: How much may be done.
        prompt_lm: An LM that writes instructions; None where there is none.
        seed: Of everything random.
        threads: Rows under way at the same time.
        ledger: What was spent.
        log: What was tried.
        selection: Situations with explanations, on which selections are judged; the sample where it is None.
        answered: Rows that programs answered so far.
        failed: Rows that they failed on.
        made: Trials of this run.
        on_trial: Told of every trial.
    """

    def __init__(
        self,
        metric: TaskMetric,
        feedback: Feedback,
        *,
        scorer: Scorer | None = None,
        budget: Budget | None = None,
        prompt_lm: dspy.LM | None = None,
        seed: int = 0,
        threads: int = THREADS,
        log: TrialLog | None = None,
        selection: RecordFile | str | Path | None = None,
        on_trial: Callable[[Trial], None] | None = None,
        on_call: Callable[[], None] | None = None,
    ) -> None:
        """Set the bench up; see the class."""
        self.metric = metric
        self.objective = Objective(metric)
        self.feedback = feedback
        self.scorer = scorer
        self.budget = budget or Budget()
        self.prompt_lm = prompt_lm
        self.seed = seed
        self.threads = threads
        self.log = log or TrialLog()
        self.selection = selection
        self.ledger = Ledger(self.log.usage, on_call)
        self.answered = self.failed = 0
        self.made: list[Trial] = []
        self.on_trial = on_trial or _ignore

    def answer(self, program: Program, examples: Examples) -> list[Row]:
        """Answer and score examples.

        Raises:
            RunError: The program failed on all of them.
        """
        asked = Asked(program, examples)
        self.answer_all([[asked]])
        return asked.answers()

    def answer_all(self, chains: Sequence[Chain], then: Callable[[Chain], Sequence[Chain]] | None = None) -> None:
        """Answer and score examples by several programs at the same time, so that batches stay full.

        Args:
            chains: Who is asked. What comes first begins first.
            then: Told of each chain when all its examples are answered; names who is asked because of that.
        """
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="modplural-compile")
        try:
            waiting = deque((chain, self._submit(pool, chain)) for chain in chains)
            while waiting:
                chain, futures = waiting.popleft()
                places = [future.result() for future in futures]
                for number, asked in enumerate(chain):
                    self._keep(asked, [tried[number] for tried in places])
                further = then(chain) if then is not None else ()
                waiting.extend((other, self._submit(pool, other)) for other in further)
        finally:
            pool.shutdown(cancel_futures=True)

    def score(self, program: Program, examples: Examples) -> list[float]:
        """The scores of examples in the metric's own unit; those that were scored before are not answered again."""
        digest = program_digest(program)
        known = [self.log.row(digest, example_digest(example)) for example in examples]
        missing = [example for example, score in zip(examples, known, strict=True) if score is None]
        found = iter(self.answer(program, missing) if missing else ())
        return [next(found).score if score is None else score for score in known]

    def goodness(self, scores: Sequence[float]) -> float:
        """The mean of scores from 0 to 1, higher being better; 0 where nothing counts."""
        found = mean(scores) / self.metric.highest
        if math.isnan(found):
            return 0.0
        return found if self.metric.higher_is_better else 1 - found

    def attempt(self, stage: str, what: str, n: int, work: Callable[[], Sequence[float]]) -> float:
        """Do the work of one trial, keep it, and return its score from 0 to 1."""
        started, calls, failed = time.monotonic(), self.ledger.calls, self.failed
        score = self.goodness(work())
        took = time.monotonic() - started
        self.note(Trial(stage, what, score, n, self.ledger.calls - calls, took, self.failed - failed))
        return score

    def attempt_program(self, stage: str, what: str, program: Program, examples: Examples) -> float:
        """Score a candidate over examples as one trial; see `attempt`. One that fails on all of them scores worst."""

        def score() -> list[float]:
            try:
                return self.score(program, examples)
            except RunError as error:
                if not self.answered:
                    raise  # nothing says that it is the candidate's fault
                _logger.warning("%s", error)
                return [self.worst] * len(examples)

        return self.attempt(stage, what, len(examples), score)

    @property
    def worst(self) -> float:
        """The worst score of a row, in the metric's own unit."""
        return 0.0 if self.metric.higher_is_better else self.metric.highest

    def note(self, trial: Trial) -> None:
        """Keep a trial and tell of it."""
        self.made.append(trial)
        self.log.keep_trial(trial, self.ledger.usage())
        self.on_trial(trial)

    def _submit(self, pool: ThreadPoolExecutor, chain: Chain) -> list[Future[list[_Tried]]]:
        places = range(len(chain[0].examples))
        return [pool.submit(copy_context().run, self._rows, chain, place) for place in places]

    def _rows(self, chain: Chain, place: int) -> list[_Tried]:
        return [self._row(asked, asked.examples[place]) for asked in chain]

    def _row(self, asked: Asked, example: dspy.Example) -> _Tried:
        if asked.problem is not None:
            return _Tried(Row(self.worst, None), "it was ended")
        try:
            with nullcontext() if asked.around is None else asked.around(example):
                prediction = asked.program(**example.inputs().toDict())
            return _Tried(Row(self.objective.row(example, prediction), prediction), None)
        except Halt as halt:
            asked.problem = halt
            return _Tried(Row(self.worst, None), "it was ended")
        except Exception as error:  # one row's failure is a bad score, whatever it is
            failure = failure_reason(asked.program, error)
            _logger.info("a record failed: %s", failure)
            return _Tried(Row(self.worst, None), failure)

    def _keep(self, asked: Asked, tried: Sequence[_Tried]) -> None:
        """Take what became of a program's examples, and remember their scores."""
        if asked.problem is not None:
            return
        asked.rows = [row for row, _ in tried]
        failures = [failure for _, failure in tried if failure is not None]
        self.failed += len(failures)
        self.answered += len(tried) - len(failures)
        if tried and len(failures) == len(tried):
            name = type(asked.program).__name__
            asked.problem = RunError(f"{name} failed on all {len(tried)} records, the last with: {failures[-1]}")
            return
        answered = zip(asked.examples, tried, strict=True)
        self.log.keep_rows(
            program_digest(asked.program),
            {example_digest(example): row.score for example, (row, failure) in answered if failure is None},
        )


class _Tried(NamedTuple):
    """A row, and why the program failed on it, if it did."""

    row: Row
    failure: str | None


def example_digest(example: dspy.Example) -> str:
    """Tell an example from others by all that it says."""
    said = json.dumps(example.toDict(), sort_keys=True, default=repr)
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:16]


def _ignore(trial: Any) -> None:
    """Listen to nothing."""
