"""One compilation, its arguments checked: the order in which things are answered, searched, compared and written.

The test records are answered once, when the search is over and decided. This file knows the order of things;
strategies, scores, the decision and reports are in files of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import dspy

from ...programs.program import Program
from ..evaluation.usage import Tokens, Usage, cost
from ..evaluation.work import program_digest
from ..journal import RunUsageError
from ..metrics import Comparison, Figure, Scorer, TaskMetric, compare
from .bench import Bench, Row
from .budget import Budget
from .estimate import Estimate, estimate
from .feedback import feedback_for
from .hopeless import Hopeless
from .parts import Part, Parts
from .report import CompileReport, PartReport, diff_of
from .report_text import markdown
from .strategy import Strategy, Work, adopt
from .trials import Trial, TrialLog
from .verdict import differs, refusal

STATE = "trials.json"
PROGRAM = "program"
REPORT = "report.json"
REPORT_TEXT = "report.md"


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
    """One compilation; see the arguments of `compile`."""

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
            on_trial=told.trial,
            on_call=told.call,
        )
        strategies = [kind(bench) for kind in self.kinds]
        for strategy in strategies:
            strategy.check(self.student)
        try:
            with bench.ledger.watching():
                found = self._search(bench, strategies, told)
        except Hopeless as halt:
            raise halt.error from halt.__cause__
        compiled = found.report(self, bench, time.monotonic() - started)
        if self.folder is not None:
            self._save(self.folder, compiled)
        return compiled

    def _search(self, bench: Bench, strategies: Sequence[Strategy], told: Told) -> _Found:
        expected = self._estimate(bench, strategies)
        told.estimate(expected.whole)
        self._check_limit(expected)
        before = bench.answer(self.student, self.parts.dev.examples)
        if self.budget.max_calls is not None:
            bench.ledger.limit = self.budget.max_calls - expected.after_search
        winner, stopped = self.student, False
        for number, strategy in enumerate(strategies, start=1):
            winner = self._stage(bench, f"{number}-{strategy.name}", strategy, winner)
            stopped = stopped or strategy.stopped
        bench.ledger.limit = None
        after = bench.answer(winner, self.parts.dev.examples) if differs(winner, self.student) else before
        comparison = self._compare(after, before, self.parts.dev)
        reason = refusal(winner, self.student, comparison, self.metric, stopped)
        kept = self.student if reason else winner
        test_before = bench.answer(self.student, self.parts.test.examples)
        test_after = test_before if reason else bench.answer(kept, self.parts.test.examples)
        return _Found(winner, reason, stopped, expected.whole, before, after, comparison, test_before, test_after)

    def _stage(self, bench: Bench, name: str, strategy: Strategy, student: Program) -> Program:
        """Run one strategy, or take over how it ended earlier."""
        kept = bench.log.stage(name)
        if kept is not None:
            copied = student.deepcopy()
            copied.load_state(kept)
            return copied
        found: Program = strategy.compile(student, trainset=self.parts.train.examples, valset=self.parts.dev.examples)
        bench.log.keep_stage(name, found.dump_state(), bench.ledger.usage())
        return found

    def _estimate(self, bench: Bench, strategies: Sequence[Strategy]) -> _Expected:
        """Answer one record, and multiply what that took; a resumed compilation remembers it."""
        train, dev, test = (len(part.examples) for part in (self.parts.train, self.parts.dev, self.parts.test))
        if "one_answer" not in bench.log.notes:
            dearest = reduce(lambda program, strategy: strategy.dearest(program), strategies, self.student)
            bench.answer(dearest, self.parts.dev.examples[:1])
            bench.log.notes["one_answer"] = dict(bench.ledger.asked)
            bench.log.notes["used"] = {model: tokens._asdict() for model, tokens in bench.ledger.usage().items()}
            bench.log.usage = bench.ledger.usage()
            bench.log.write()
        one_answer: dict[str, int] = bench.log.notes["one_answer"]
        used = {model: Tokens(**tokens) for model, tokens in bench.log.notes["used"].items()}
        work = reduce(add, (strategy.work(self.student, train, dev) for strategy in strategies), Work(0))
        frame = 2 * (dev + test)  # the student and the winner, on both
        model = None if self.prompt_lm is None else self.prompt_lm.model
        whole = estimate(work.answers + frame, one_answer, used, work.prompt_calls, model)
        calls = sum(one_answer.values())
        return _Expected(whole, calls * dev, calls * (dev + 2 * test))

    def _check_limit(self, expected: _Expected) -> None:
        limit, least = self.budget.max_calls, expected.before_search + expected.after_search
        if limit is not None and limit <= least:
            raise RunUsageError(
                f"max_calls is {limit}, and the scores before and after alone take about {least}, so that nothing would"
                " be left to search with; allow more, or give a smaller limit of records"
            )

    def _compare(self, after: Sequence[Row], before: Sequence[Row], part: Part) -> Comparison:
        return compare(
            [row.score for row in after],
            [row.score for row in before],
            self.metric.groups(part.examples),
            higher_is_better=self.metric.higher_is_better,
            seed=self.seed,
        )

    def part(self, part: Part, before: Sequence[Row], after: Sequence[Row]) -> PartReport:
        """Figures of one part."""

        def figures(rows: Sequence[Row]) -> Mapping[str, Figure]:
            return self.metric.summary(part.examples, [row.prediction for row in rows], [row.score for row in rows])

        comparison = self._compare(after, before, part)
        return PartReport(part.name, part.digest, len(part.examples), figures(before), figures(after), comparison)

    def _save(self, folder: Path, compiled: Compiled) -> None:
        compiled.program.save(folder / PROGRAM)
        (folder / REPORT).write_bytes(compiled.report.encoded())
        (folder / REPORT_TEXT).write_text(markdown(compiled.report), encoding="utf-8")


class _Expected(NamedTuple):
    """What everything will take, and the calls that scores before and after the search will."""

    whole: Estimate
    before_search: int
    after_search: int


@dataclass(frozen=True)
class _Found:
    """What a search ended with; `refusal` says why the winner is not kept, and is empty where it is."""

    winner: Program
    refusal: str
    stopped: bool
    expected: Estimate
    dev_before: Sequence[Row]
    dev_after: Sequence[Row]
    comparison: Comparison
    test_before: Sequence[Row]
    test_after: Sequence[Row]

    def report(self, job: Job, bench: Bench, seconds: float) -> Compiled:
        """Put the report together."""
        program = adopt(job.student, job.student if self.refusal else self.winner)
        test = job.part(job.parts.test, self.test_before, self.test_after)
        usage = bench.ledger.usage()
        report = CompileReport(
            task=job.parts.task,
            program=type(job.student).__name__,
            strategy=str(job.settings["strategy"]),
            kept=not self.refusal,
            reason=self.refusal or f"better on the dev records in {self.comparison.favours_first:.0%} of the resamples",
            primary=job.metric.primary,
            higher_is_better=job.metric.higher_is_better,
            scorer=test.before[job.metric.primary].scorer if job.metric.primary in test.before else None,
            dev=job.part(job.parts.dev, self.dev_before, self.dev_after),
            test=test,
            diff=diff_of(job.student, self.winner),
            trials=tuple(bench.log.trials),
            stopped=self.stopped,
            estimate=self.expected,
            tokens=usage,
            costs=_costs(usage),
            settings={**job.settings, "program after": program_digest(program)},
            seconds=seconds,
            load=os.getloadavg(),
        )
        return Compiled(program, report)


def _costs(usage: Usage) -> dict[str, float]:
    return {model: price for model, tokens in usage.items() if (price := cost(model, tokens)) is not None}
