"""One compilation, its arguments checked: the order in which things are answered, searched, compared and written.

The test records are answered once, when the search is over and decided. This file knows the order of things;
strategies, scores, the decision, the last look, reports and MLflow are in files of their own.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import dspy

from ...data import RecordFile
from ...programs.program import Program
from ..evaluation.usage import Tokens, Usage, cost
from ..evaluation.work import program_digest
from ..journal import RunError, RunUsageError
from ..metrics import Scorer, TaskMetric
from ..tracking import TrackedRun
from .bench import Bench
from .beside import further_answers
from .budget import Budget
from .compilation_run import compilation_run, log_compilation
from .estimate import Estimate, estimate
from .feedback import feedback_for
from .final import Tracing, last_look
from .hopeless import Hopeless
from .judging import judged, judging_choices, selected
from .parts import Parts
from .report import CompileReport, PartReport, diff_of
from .report_text import markdown
from .strategy import Strategy, Work, adopt
from .trials import Trial, TrialLog
from .verdict import too_many_failed

STATE = "trials.json"
PROGRAM = "program"
REPORT = "report.json"
REPORT_TEXT = "report.md"

_TRIES = 3
"""Records that are tried for the estimate."""

_logger = logging.getLogger(__name__)


class Compiled(NamedTuple):
    """What compiling gives: a program of the student's make, and how it came about."""

    program: Program
    report: CompileReport


class Told(NamedTuple):
    """Who is told of the estimate, of every trial and of every LM call."""

    estimate: Callable[[Estimate], None]
    trial: Callable[[Trial], None]
    call: Callable[[], None]


@dataclass(frozen=True)
class Job:
    """One compilation; see the arguments of `compile`.

    Attributes:
        settings: What tells it from other compilations; one that was stopped goes on only with the same.
        traces: Share of the rows of the last look that are traced; None where nothing is tracked.
    """

    student: Program
    parts: Parts
    kinds: Sequence[type[Strategy]]
    metric: TaskMetric
    scorer: Scorer | None
    budget: Budget
    prompt_lm: dspy.LM | None
    seed: int
    threads: int
    folder: Path | None
    settings: Mapping[str, Any]
    traces: float | None = None
    selection: RecordFile | str | Path | None = None

    def run(self, told: Told) -> Compiled:
        """Do it."""
        started = time.monotonic()
        log = TrialLog(None if self.folder is None else self.folder / STATE, self.settings)
        bench = Bench(
            self.metric,
            feedback_for(self.metric, self.scorer),
            scorer=self.scorer,
            budget=self.budget,
            prompt_lm=self.prompt_lm,
            seed=self.seed,
            threads=self.threads,
            log=log,
            selection=self.selection,
            on_trial=told.trial,
            on_call=told.call,
        )
        strategies = [kind(bench) for kind in self.kinds]
        for strategy in strategies:
            strategy.check(self.student)
        try:
            with bench.ledger.watching():
                expected = self._estimate(bench, strategies)
                told.estimate(expected.whole)
                self._check_limit(expected)
                with self._tracked(log) as run:
                    return self._compile(bench, strategies, expected, run, started)
        except Hopeless as halt:
            raise halt.error from halt.__cause__

    def _compile(
        self, bench: Bench, strategies: Sequence[Strategy], expected: _Expected, run: TrackedRun | None, started: float
    ) -> Compiled:
        found = self._search(bench, strategies, expected)
        program = adopt(self.student, found.winner if found.kept else self.student)
        tracing = None if run is None else Tracing(run, self.traces or 0.0)
        looks = last_look(bench, self.parts.scored_last, self.student, program if found.kept else None, tracing)
        report = self._report(bench, found, looks, program)
        report = replace(report, seconds=time.monotonic() - started, run_id=None if run is None else run.run_id)
        if self.folder is not None:
            (self.folder / REPORT).write_bytes(report.encoded())
            (self.folder / REPORT_TEXT).write_text(markdown(report), encoding="utf-8")
            program.save(self.folder / PROGRAM)
        if run is not None:
            log_compilation(run, report, program)
        return Compiled(program, report)

    def _tracked(self, log: TrialLog) -> AbstractContextManager[TrackedRun | None]:
        """The run in MLflow; a compilation that was stopped goes on in its own."""
        if self.traces is None:
            return nullcontext()
        return compilation_run(self.parts, type(self.student).__name__, self.settings, log)

    def _search(self, bench: Bench, strategies: Sequence[Strategy], expected: _Expected) -> _Found:
        before = bench.answer(self.student, self.parts.dev.examples)
        if self.budget.max_calls is not None:
            bench.ledger.limit = self.budget.max_calls - expected.after_search
        winner, stopped, compared = self.student, False, 0
        for number, strategy in enumerate(strategies, start=1):
            stage = self._stage(bench, f"{number}-{strategy.name}", strategy, winner)
            winner, stopped, compared = stage.winner, stopped or stage.stopped, compared + stage.compared
        bench.ledger.limit = None
        verdict = judged(bench, self.parts.dev, self.student, winner, before, compared, stopped)
        return _Found(*verdict, stopped, expected.whole)

    def _stage(self, bench: Bench, name: str, strategy: Strategy, student: Program) -> _Stage:
        """Run one strategy, or take over how it ended earlier."""
        kept = bench.log.stage(name)
        if kept is not None:
            copied = student.deepcopy()
            copied.load_state(kept.state)
            return _Stage(copied, kept.stopped, kept.compared)
        begun = len(bench.made)
        found: Program = strategy.compile(student, trainset=self.parts.train.examples, valset=self.parts.dev.examples)
        stopped, compared = strategy.stopped, strategy.compared
        if not too_many_failed(bench.made[begun:]):  # else it is to be gone through again
            bench.log.keep_stage(
                name, found.dump_state(), stopped=stopped, compared=compared, usage=bench.ledger.usage()
            )
        return _Stage(found, stopped, compared)

    def _estimate(self, bench: Bench, strategies: Sequence[Strategy]) -> _Expected:
        """Answer one record, and multiply what that took; a resumed compilation remembers it."""
        train, dev = len(self.parts.train.examples), len(self.parts.dev.examples)
        last = sum(len(part.examples) for part in self.parts.scored_last)
        if "one_answer" not in bench.log.notes:
            dearest = reduce(lambda program, strategy: strategy.dearest(program), strategies, self.student)
            self._answer_one(bench, dearest)
            bench.log.notes["one_answer"] = dict(bench.ledger.asked)
            bench.log.notes["used"] = {model: tokens._asdict() for model, tokens in bench.ledger.usage().items()}
            bench.log.usage = bench.ledger.usage()
            bench.log.write()
        one_answer: dict[str, int] = bench.log.notes["one_answer"]
        used = {model: Tokens(**tokens) for model, tokens in bench.log.notes["used"].items()}
        work = reduce(add, (strategy.work(self.student, train, dev) for strategy in strategies), Work(0))
        frame = 2 * (dev + last)  # the student and the winner, on both
        beside = self._beside(one_answer, last)
        calls_beside = {model: calls + work.choices for model, calls in beside.items()}
        model = None if self.prompt_lm is None else self.prompt_lm.model
        whole = estimate(work.answers + frame, one_answer, used, work.prompt_calls, model, calls_beside)
        calls = sum(one_answer.values())
        return _Expected(whole, calls * dev, calls * (dev + 2 * last) + sum(beside.values()))

    def _answer_one(self, bench: Bench, dearest: Program) -> None:
        """Answer one record: the first of a few on which the dearest program, or else the student, does not fail."""
        examples = self.parts.dev.examples[:_TRIES]
        *tries, last = [(program, example) for program in (dearest, self.student) for example in examples]
        for program, example in tries:
            try:
                bench.answer(program, [example])
                return
            except RunError as error:
                _logger.info("nothing to estimate by: %s", error)
        bench.answer(last[0], [last[1]])

    def _beside(self, one_answer: Mapping[str, int], records: int) -> dict[str, int]:
        """Calls that judge and are no answers of the program, by model: baselines' answers, and selections.

        A response takes one, and a choice of a baseline no more than a mode's own choices.
        """
        model = self.student.base.model
        chosen = self.parts.dev.examples[0].get("options") is not None
        each = one_answer.get(model, 1) if chosen else 1
        return {model: records * further_answers(chosen) * each + judging_choices(self.student)}

    def _check_limit(self, expected: _Expected) -> None:
        limit, least = self.budget.max_calls, expected.before_search + expected.after_search
        if limit is not None and limit <= least:
            raise RunUsageError(
                f"max_calls is {limit}, and the scores before and after alone take about {least}, so that nothing would"
                " be left to search with; allow more, or give a smaller limit of records"
            )

    def _report(self, bench: Bench, found: _Found, looks: Sequence[PartReport], program: Program) -> CompileReport:
        test, *further = looks
        usage, metric = bench.ledger.usage(), self.metric
        return CompileReport(
            task=self.parts.task,
            program=type(self.student).__name__,
            strategy=str(self.settings["strategy"]),
            kept=found.kept,
            reason=found.reason,
            primary=metric.primary,
            higher_is_better=metric.higher_is_better,
            scorer=test.before[metric.primary].scorer,
            dev=found.dev,
            test=test,
            unseen=next(iter(further), None),
            selection=selected(bench, self.student, program),
            diff=diff_of(self.student, found.winner),
            trials=tuple(bench.log.trials),
            stopped=found.stopped,
            estimate=found.expected,
            tokens=usage,
            costs=_costs(usage),
            settings={**self.settings, "program after": program_digest(program)},
            seconds=0.0,
            load=os.getloadavg(),
        )


class _Expected(NamedTuple):
    """What everything will take, and the calls that scores before and after the search will."""

    whole: Estimate
    before_search: int
    after_search: int


class _Stage(NamedTuple):
    """What one strategy ended with; see `Strategy`."""

    winner: Program
    stopped: bool
    compared: int


class _Found(NamedTuple):
    """What the search ended with: the first four as of `Judged`."""

    winner: Program
    kept: bool
    reason: str
    dev: PartReport
    stopped: bool
    expected: Estimate


def _costs(usage: Usage) -> dict[str, float]:
    return {model: price for model, tokens in usage.items() if (price := cost(model, tokens)) is not None}
