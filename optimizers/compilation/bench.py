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
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from ...data import RecordFile
from ...programs.engines.local import LocalEngine
from ...programs.program import Program
from ..answering import failure_reason
from ..evaluation.work import program_digest
from ..journal import RunError
from ..metrics import Scorer, TaskMetric
from .budget import Budget
from .ledger import Ledger
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

    def answer(self, program: Program, examples: Examples, around: Around | None = None) -> list[Row]:
        """Answer and score examples.

        Args:
            program: Who answers.
            examples: What is asked.
            around: What surrounds each answer, such as a trace.

        Raises:
            RunError: The program failed on all of them.
        """
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="modplural-compile")
        try:
            futures = [pool.submit(copy_context().run, self._row, program, example, around) for example in examples]
            rows = [future.result() for future in futures]
        finally:
            pool.shutdown(cancel_futures=True)
        failures = [failure for _, failure in rows if failure is not None]
        self.failed += len(failures)
        self.answered += len(rows) - len(failures)
        if rows and len(failures) == len(rows):
            raise RunError(f"{type(program).__name__} failed on all {len(rows)} records, the last with: {failures[-1]}")
        answered = zip(examples, rows, strict=True)
        self.log.keep_rows(
            program_digest(program),
            {example_digest(example): row.score for example, (row, failure) in answered if failure is None},
        )
        return [row for row, _ in rows]

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

    def _row(self, program: Program, example: dspy.Example, around: Around | None) -> tuple[Row, str | None]:
        try:
            with nullcontext() if around is None else around(example):
                prediction = program(**example.inputs().toDict())
            return Row(self.objective.row(example, prediction), prediction), None
        except Exception as error:  # one row's failure is a bad score, whatever it is
            failure = failure_reason(program, error)
            _logger.info("a record failed: %s", failure)
            return Row(self.worst, None), failure


def example_digest(example: dspy.Example) -> str:
    """Tell an example from others by all that it says."""
    said = json.dumps(example.toDict(), sort_keys=True, default=repr)
    return hashlib.sha256(said.encode(errors="surrogatepass")).hexdigest()[:16]


def _ignore(trial: Any) -> None:
    """Listen to nothing."""
