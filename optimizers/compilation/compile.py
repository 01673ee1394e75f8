"""Compiling: a search by one strategy or several, and a test of what it found, on records that no search saw.

The winner of the search is returned only where a paired test on the dev records says that it is better; otherwise the
student is. The test records are scored once, at the end. This file knows the order of things; strategies, scores and
reports are in files of their own.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from importlib import metadata
from operator import add
from pathlib import Path
from typing import Any, NamedTuple

import dspy

from ...data import RecordFile, find_task
from ...programs.program import Program
from ...programs.question import Question
from ..answering import sole_writer
from ..evaluation.usage import Tokens, Usage, cost
from ..evaluation.work import program_digest
from ..journal import RunUsageError
from ..metrics import Comparison, EmbeddingScorer, Figure, Scorer, TaskMetric, compare, metric_for
from .bench import THREADS, Bench, Row
from .budget import Budget
from .estimate import Estimate, estimate
from .feedback import feedback_for
from .hopeless import Hopeless
from .parts import Part, Parts, parts_of
from .report import CompileReport, PartReport, diff_of
from .report_text import markdown
from .strategies import strategies_named
from .strategy import Strategy, Work, adopt
from .trials import Trial, TrialLog

STATE = "trials.json"
PROGRAM = "program"
REPORT = "report.json"
REPORT_TEXT = "report.md"

SURE = 0.95
"""Share of the resamples in which the winner has to be better on the dev records."""

FEWEST = 5
"""Situations without which the winner is not kept: with fewer no paired test can reach 5%."""

_VERSIONED = ("modplural", "dspy", "gepa", "optuna", "scipy", "torch", "transformers")


class Compiled(NamedTuple):
    """What compiling gives: a program of the student's make, and how it came about."""

    program: Program
    report: CompileReport


def compile(
    program: Program,
    task: str,
    *,
    strategy: str,
    data: RecordFile | str | Path | None = None,
    budget: str = "light",
    max_calls: int | None = None,
    prompt_lm: dspy.LM | None = None,
    scorer: Scorer | None = None,
    metric: TaskMetric | None = None,
    limit: int | None = None,
    seed: int = 0,
    threads: int = THREADS,
    output: str | Path | None = None,
    on_estimate: Callable[[Estimate], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
) -> Compiled:
    """Make a program better at a task.

    Args:
        program: The student; it stays as it is.
        task: A name in `modplural.data.TASKS`.
        strategy: A name in `STRATEGIES`, or several with `+` between them.
        data: Records of the task, or where they are (see `modplural.data.load_task`); the sample where it is None.
        budget: `light`, `medium` or `heavy`: how hard strategies search.
        max_calls: Most LM calls in all; the search ends in time for the final scores. Calls that DSPy's cache answers
            do not count.
        prompt_lm: A capable LM that writes instructions, for the strategies that need or can use one.
        scorer: What scores value coverage; sentence embeddings where it is None.
        metric: Another metric than the task's own.
        limit: So many examples of each part only, drawn by the seed.
        seed: Of everything random.
        threads: Rows under way at the same time.
        output: A folder that gets the program, the report and the trials; a compilation that was stopped goes on there.
        on_estimate: Told what it will cost, before more than one record was answered.
        on_trial: Told of every candidate that was scored.

    Raises:
        RunUsageError: The program, the task, the data or the output do not fit one another.
        ValueError: An argument makes no sense, or a strategy cannot do anything with such a program.
        MetricFailedError: The metric fails on most predictions.
        PromptLMFailedError: The LM that writes instructions writes none that can be used.
        RunError: The program fails on all records, or the budget is spent before anything was compared.
    """
    limits = Budget(budget, max_calls)
    kinds = strategies_named(strategy)
    find_task(task)
    parts = parts_of(task, data, limit, seed)
    _check_fit(program, parts)
    if metric is None:
        scorer = scorer or EmbeddingScorer()
        metric = metric_for(task, scorer)
    folder = None if output is None else Path(output)
    settings = _settings(program, parts, strategy, limits, prompt_lm, limit, seed)
    job = _Job(program, parts, kinds, metric, scorer, limits, prompt_lm, seed, threads, folder, settings)
    told = _Told(on_estimate or _ignore, on_trial or _ignore)
    if folder is None:
        return job.run(told)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder / STATE):
        return job.run(told)


class _Told(NamedTuple):
    estimate: Callable[[Estimate], None]
    trial: Callable[[Trial], None]


@dataclass(frozen=True)
class _Job:
    """One compilation, its arguments checked."""

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

    def run(self, told: _Told) -> Compiled:
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

    def _search(self, bench: Bench, strategies: Sequence[Strategy], told: _Told) -> _Found:
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
        after = bench.answer(winner, self.parts.dev.examples) if _differs(winner, self.student) else before
        comparison = self._compare(after, before, self.parts.dev)
        reason = _refusal(winner, self.student, comparison, self.metric, stopped)
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
            bench.answer(self.student, self.parts.dev.examples[:1])
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

    def report(self, job: _Job, bench: Bench, seconds: float) -> Compiled:
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


def _refusal(winner: Program, student: Program, found: Comparison, metric: TaskMetric, stopped: bool) -> str:
    """Why the winner is not kept; empty where it is."""
    if not _differs(winner, student):
        return "nothing better was found" + (" before the budget was spent" if stopped else "")
    if found.groups < FEWEST:
        return f"the dev records are of {found.groups} situations, and with fewer than {FEWEST} no test can be sure"
    better = found.difference > 0 if metric.higher_is_better else found.difference < 0
    if not better or found.favours_first < SURE:
        return (
            f"the best candidate is better on the dev records in {found.favours_first:.0%} of the resamples, and"
            f" {SURE:.0%} are asked for"
        )
    return ""


def _differs(one: Program, other: Program) -> bool:
    return program_digest(one) != program_digest(other)


def _check_fit(program: Program, parts: Parts) -> None:
    """Refuse before anybody is asked what would fail on every record."""
    example = parts.dev.examples[0]
    try:
        question = Question(example.query, example.get("attribute"), example.get("options"))
        question.fit(type(program).__name__, program.attribute_use, program.options_use)
    except ValueError as error:
        raise RunUsageError(f"{type(program).__name__} cannot be compiled for {parts.task}: {error}") from error


def _settings(
    program: Program,
    parts: Parts,
    strategy: str,
    budget: Budget,
    prompt_lm: dspy.LM | None,
    limit: int | None,
    seed: int,
) -> dict[str, Any]:
    """All that tells a compilation from others, as JSON data."""
    return {
        "task": parts.task,
        "strategy": strategy,
        "budget": budget.level,
        "most LM calls": budget.max_calls,
        "prompt LM": None if prompt_lm is None else prompt_lm.model,
        "seed": seed,
        "limit": limit,
        "data": parts.data,
        **{f"{part.name} digest": part.digest for part in (parts.train, parts.dev, parts.test)},
        "program before": program_digest(program),
        "versions": {name: found for name in _VERSIONED if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _costs(usage: Usage) -> dict[str, float]:
    return {model: price for model, tokens in usage.items() if (price := cost(model, tokens)) is not None}


def _ignore(_: object) -> None:
    """Listen to nothing."""
