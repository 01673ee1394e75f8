"""Compiling: a search by one strategy or several, and a test of what it found, on records that no search saw.

The winner of the search is returned only where a paired test on the dev records says that it is better; otherwise the
student is. The test records are scored once, at the end. This file knows arguments; see `job` for what is done.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dspy

from ...data import RecordFile, find_task
from ...programs.baselines import Prompted
from ...programs.program import Program
from ...programs.question import Question
from ...programs.steerable import Steerable
from ..answering import sole_writer
from ..evaluation.work import program_digest
from ..journal import RunUsageError
from ..metrics import EmbeddingScorer, PairwiseJudge, Scorer, TaskMetric, metric_for
from .bench import threads_for
from .budget import Budget
from .estimate import Estimate
from .job import PROGRAM, STATE, Compiled, Job, Told
from .parts import Parts, Unseen, parts_of
from .responses import Responses
from .selection import selections
from .strategies import strategies_named
from .trials import Trial

TRACED = 0.1
"""Share of the rows of the last look that are traced where nothing else is said."""

_VERSIONED = ("modplural", "dspy", "gepa", "optuna", "scipy", "torch", "transformers")


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
    judge: PairwiseJudge | None = None,
    baseline: Program | None = None,
    metric: TaskMetric | None = None,
    limit: int | None = None,
    unseen: RecordFile | str | Path | None = None,
    unseen_limit: int | None = None,
    selection: RecordFile | str | Path | None = None,
    seed: int = 0,
    threads: int | None = None,
    output: str | Path | None = None,
    track: bool = False,
    traces: float = TRACED,
    on_estimate: Callable[[Estimate], None] | None = None,
    on_trial: Callable[[Trial], None] | None = None,
    on_call: Callable[[], None] | None = None,
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
        judge: What compares responses, for `overton-judge`.
        baseline: Whose responses they are compared with, for `overton-judge`; prompted, with the program's base LLM,
            where it is None.
        metric: Another metric than the task's own.
        limit: So many examples of each part only, drawn by the seed.
        unseen: Records from elsewhere that are scored at the end as the test records are; those of situations that are
            in `data` are left out.
        unseen_limit: So many of them only, drawn by the seed.
        selection: Of a steerable program, records of `overton-vk` on whose situations it is judged which message it
            selects, since each value's own explanation is known there; the sample where it is None.
        seed: Of everything random, from 0 to 2**32 - 1.
        threads: Rows under way at the same time; 32 when None, or 128 with a base LLM in this process.
        output: A folder that gets the program, the report and the trials; a compilation that was stopped goes on there.
        track: Whether it becomes a run in MLflow, in the store that `MLFLOW_TRACKING_URI` names.
        traces: Share of the rows scored at the end that are traced in that run.
        on_estimate: Told what it will cost, before more than one record was answered.
        on_trial: Told of every candidate that was scored.
        on_call: Told of every LM call, in its thread; the estimate says how many there will be at most.

    Raises:
        RunUsageError: The program, the task, the data or the output do not fit one another.
        ValueError: An argument makes no sense, or a strategy cannot do anything with such a program.
        MetricFailedError: The metric fails on most predictions.
        PromptLMFailedError: The LM that writes instructions writes none that can be used.
        RunError: The program fails on all records, or the budget is spent before anything was compared.
        SavedProgramError: There is an output, or it is to be tracked, and the program cannot be saved.
        ImportError: It is to be tracked, and MLflow is not installed.
        StoreError: It is to be tracked, and the store cannot be used.
    """
    limits = Budget(budget, max_calls)
    kinds = strategies_named(strategy)
    find_task(task)
    if not 0 <= traces <= 1:
        raise ValueError(f"traces is {traces}; it is a share of rows, from 0 to 1")
    if not 0 <= seed < 2**32:
        raise ValueError(f"seed is {seed}; it is a number from 0 to 2**32 - 1, as the libraries that draw take it")
    if unseen is None and unseen_limit is not None:
        raise ValueError(f"unseen_limit is {unseen_limit}, and there are no unseen records to draw from; give both")
    parts = parts_of(task, data, limit, seed, None if unseen is None else Unseen(unseen, unseen_limit))
    _check_fit(program, parts)
    if output is not None or track:
        _check_saving(program)
    if metric is None:
        scorer = scorer or EmbeddingScorer()
        baseline = baseline or Prompted(program.base)
        metric = metric_for(task, scorer, judge=judge, baseline=Responses(baseline, _queries(parts)))
    folder = None if output is None else Path(output)
    settings = {
        **_settings(program, parts, strategy, limits, prompt_lm, limit, seed),
        "metric": metric.primary,
        "scorer": None if scorer is None else scorer.name,
        "judge": None if judge is None else judge.name,
        "baseline": None if judge is None or baseline is None else _named(baseline),
        "selection": _selecting(program, selection),
    }
    share = traces if track else None
    at_once = threads_for(program.base) if threads is None else threads
    job = Job(
        program, parts, kinds, metric, scorer, limits, prompt_lm, seed, at_once, folder, settings, share, selection
    )
    told = Told(on_estimate or _ignore, on_trial or _ignore, on_call or _ignore)
    if folder is None:
        return job.run(told)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder / STATE):
        return job.run(told)


def _check_fit(program: Program, parts: Parts) -> None:
    """Refuse before anybody is asked what would fail on every record."""
    if not isinstance(program, Program):
        raise RunUsageError(
            f"{type(program).__name__} is no program of ours, whose LMs, pool and parameters compiling knows; give a"
            " mode or a baseline, or compile it with an optimizer of DSPy's"
        )
    example = parts.dev.examples[0]
    try:
        question = Question(example.query, example.get("attribute"), example.get("options"))
        question.fit(type(program).__name__, program.attribute_use, program.options_use)
    except ValueError as error:
        raise RunUsageError(f"{type(program).__name__} cannot be compiled for {parts.task}: {error}") from error


def _named(baseline: Program) -> str:
    return f"{type(baseline).__name__} {program_digest(baseline)}"


def _queries(parts: Parts) -> Iterator[str]:
    for part in (parts.train, parts.dev, *parts.scored_last):
        yield from (example.query for example in part.examples)


def _selecting(program: Program, selection: RecordFile | str | Path | None) -> str | None:
    """What selections are judged on, as it is kept among the settings.

    Raises:
        RunUsageError: There is nothing of use in it, or the program selects nothing.
    """
    if selection is None:
        return None
    if not isinstance(program, Steerable):
        raise RunUsageError(f"{type(program).__name__} selects no message; leave out what selections are judged on")
    return ", ".join(
        hashlib.sha256(repr(selections(split, data=selection)).encode()).hexdigest()[:16]
        for split in ("train", "dev", "test")
    )


def _check_saving(program: Program) -> None:
    """Refuse before anything is spent what could not be saved when it is."""
    with TemporaryDirectory() as folder:
        program.save(Path(folder, PROGRAM))


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


def _ignore(*_: object) -> None:
    """Listen to nothing."""
