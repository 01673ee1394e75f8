"""What the options of `modplural evaluate` stand for: records, programs, a scorer and a judge.

This file opens and makes them; it asks nobody anything.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .adjusting import Changes, adjust
from .named_lms import named_lm
from .options import DEFAULT_POOL, make_program
from .session import WrongUsageError

if TYPE_CHECKING:
    import dspy

    from ..data import RecordFile
    from ..optimizers.evaluation import Plan
    from ..optimizers.metrics import PairwiseJudge, Scorer
    from ..programs.building import BuiltPool
    from ..programs.program import Program

_logger = logging.getLogger(__name__)

PROGRAM = "program"
"""What a saved program is called among the methods."""


class SplitName(StrEnum):
    """The parts of a task's records, or all of them."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"
    ALL = "all"


class ChosenRecords(NamedTuple):
    """What the options say about the records of every task."""

    data: str | None = None
    split: SplitName = SplitName.TEST
    limit: int | None = None


class ChosenMethods(NamedTuple):
    """What the options say about the programs that answer.

    Attributes:
        names: Names of methods.
        saved: A saved program that is one more; None for none.
        changes: What is changed of all methods that have a use for it.
        seed: For LMs that sample; None for none.
    """

    names: Sequence[str]
    saved: Path | None
    changes: Changes
    seed: int | None


def names_in(given: Sequence[str]) -> list[str]:
    """Names that are given one by one or with commas between, each once.

    Raises:
        ValueError: There is none.
    """
    found = list(dict.fromkeys(name.strip() for names in given for name in names.split(",") if name.strip()))
    if not found:
        raise ValueError(f"there is no name in {','.join(given)!r}")
    return found


def opened(pool: str | None, seed: int | None) -> BuiltPool:
    """The base LLM and the communities of a pool."""
    from ..poolfile import open_pool

    built = open_pool(pool or DEFAULT_POOL)
    if seed is not None:
        for lm in [built.base, *(community.lm for community in built.pool)]:
            lm.kwargs["seed"] = seed
    return built


def make_plans(tasks: Sequence[str], built: BuiltPool, methods: ChosenMethods, records: ChosenRecords) -> list[Plan]:
    """A plan for each task.

    Raises:
        ValueError: There is no such task or method, or its records cannot be read.
        WrongUsageError: No method has a use for a change.
    """
    from ..data import find_task
    from ..optimizers.evaluation import Plan, make_methods

    modes = {name: find_task(name).mode for name in tasks}  # all of them, before any records are read
    made = {name: make_methods(methods.names, mode, built.base, built.pool) for name, mode in modes.items()}
    _change([program for of_task in made.values() for program in of_task.values()], methods.changes)
    further = {} if methods.saved is None else {PROGRAM: make_program(None, None, methods.saved, None, methods.seed)}
    return [Plan(_records(name, records), {**made[name], **further}) for name in modes]


def make_scorer(name: str | None, base: dspy.LM) -> Scorer:
    """What scores value coverage; sentence embeddings where nothing is named.

    Raises:
        ValueError: There is no such scorer.
    """
    from ..optimizers.metrics import EmbeddingScorer, JudgeScorer
    from ..optimizers.scorer_names import scorer_named

    if name is None:
        return EmbeddingScorer()
    kind, _, model = name.partition(":")
    return JudgeScorer(named_lm("--scorer", model, base)) if kind == "judge" and model else scorer_named(name)


def make_judge(name: str | None, base: dspy.LM) -> PairwiseJudge | None:
    """What compares responses; None where nothing is named.

    Raises:
        ValueError: There is no such LM, or it cannot be asked.
    """
    from ..optimizers.metrics import PairwiseJudge

    return None if name is None else PairwiseJudge(named_lm("--judge", name.removeprefix("judge:"), base))


def _change(programs: Sequence[Program], changes: Changes) -> None:
    """Make each change in the programs that have a use for it; one that is of no use to any is wrong usage."""
    for change in _one_by_one(changes):
        refused = []
        for program in programs:
            try:
                adjust(program, change)
            except WrongUsageError as error:
                refused.append(error)
        if len(refused) == len(programs):
            raise refused[-1]


def _one_by_one(changes: Changes) -> list[Changes]:
    failing = Changes(on_failure=changes.on_failure, at_least=changes.at_least)
    parts = [failing, Changes(measure=changes.measure), Changes(synthesis=changes.synthesis)]
    return [part for part in parts if any(value is not None for value in part)]


def _records(task: str, chosen: ChosenRecords) -> RecordFile:
    from ..data import load_task, split_records
    from ..optimizers.evaluation import drawn_records

    records = load_task(task, chosen.data)
    if records.bad:
        count, first = len(records.bad), records.bad[0]
        _logger.warning(
            "%s: %d unreadable and left out, such as record %d (%s)", records.path, count, first.index, first.reason
        )
    if chosen.split is not SplitName.ALL:
        records = getattr(split_records(records), chosen.split)
    return records if chosen.limit is None else drawn_records(records, chosen.limit)
