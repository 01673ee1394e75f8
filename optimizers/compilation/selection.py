"""How often a program selects the message that reflects a value, where it is known which one does.

The records of the steerable tasks say what to answer, and not from which message. But the sample's situations have an
explanation for each of their values: given as messages, the one to select for a value is its own explanation. This file
knows the steerable mode and situations; it must not know how selections are measured.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from pathlib import Path

import dspy

from ...data import RecordFile, find_task, load_task, split_records
from ...data.overton import OvertonRecord
from ...programs.asking import CannotMeasureError
from ...programs.errors import reason
from ...programs.messages import quoted
from ...programs.program import Program
from ...programs.steerable import Steerable
from ...programs.steps import Call, Steps, drive
from ..journal import RunUsageError
from ..metrics import compare, mean_figure
from .bench import Bench
from .report import SELECTION, PartReport
from .verdict import LEVEL, chance

_EXPLAINED = "overton-vk"

_logger = logging.getLogger(__name__)

QUESTIONS = 60
"""So many are asked at most: each takes a prompt per message, for `letters` as many again, and the best strategy is far
ahead."""


def selections(
    split: str, seed: int = 0, most: int = QUESTIONS, data: RecordFile | str | Path | None = None
) -> list[dspy.Example]:
    """Questions with a known answer: a situation, a value, and explanations of which one is the value's.

    Args:
        split: `train`, `dev` or `test`: the situations of that part, as everywhere.
        seed: Draws the questions, where there are more than `most`.
        most: So many at most.
        data: Records of `overton-vk` with an explanation for each value, or where they are; the sample where it is
            None.

    Returns:
        Examples with `query`, `attribute` and `options`; gold is `choice`.

    Raises:
        RunUsageError: The part holds no situation with two explanations or more.
    """
    whole = data if isinstance(data, RecordFile) else load_task(_EXPLAINED, data)
    if whole.task.record is not find_task(_EXPLAINED).record:
        raise RunUsageError(
            f"{whole.path} holds records of {whole.task.name}; selections are judged on situations with an explanation"
            f" for each value, as records of {_EXPLAINED} have them"
        )
    records = getattr(split_records(whole), split).records.values()
    found = [example for record in records for example in _questions(record)]
    if not found:
        raise RunUsageError(f"the {split} part of {whole.path} has no situation with two explanations or more")
    return random.Random(seed).sample(found, min(most, len(found)))


def selection_scores(program: Steerable, examples: Sequence[dspy.Example], threads: int) -> list[float]:
    """Ask a program's selection: 1 where it is right, 0 where it is not, NaN where it fails.

    Raises:
        CannotMeasureError: The LM cannot be measured as the selection has it.
    """

    def right(example: dspy.Example) -> float:
        try:
            return float(drive(_selected(program, example)) == example.choice)
        except CannotMeasureError:
            raise
        except Exception as error:  # one question's failure says nothing of the others, whatever it is
            _logger.info("a selection failed: %s", reason(error, program.base))
            return math.nan

    pool = ThreadPoolExecutor(threads, thread_name_prefix="modplural-select")
    try:
        # Each in a copy of the caller's context, in which calls are counted, and limited.
        futures = [pool.submit(copy_context().run, right, example) for example in examples]
        return [future.result() for future in futures]
    finally:
        pool.shutdown(cancel_futures=True)


def selecting_like(student: Program, winner: Program) -> Steerable | None:
    """The student with the winner's way to select; None where it is the student's own, or they select nothing."""
    if not isinstance(student, Steerable) or not isinstance(winner, Steerable):
        return None
    found = student.deepcopy()
    found.select.load_state(winner.select.dump_state())
    return found if found.select.dump_state() != student.select.dump_state() else None


def selection_part(
    bench: Bench, split: str, before: Steerable, after: Steerable, looks: Sequence[int] = (QUESTIONS,)
) -> tuple[PartReport, float]:
    """How two programs select on the situations of a part, and how likely by chance such a lead is.

    Args:
        bench: With the seed and the threads.
        split: `dev` or `test`.
        before: The student.
        after: What is to be better, or the same.
        looks: After how many questions it is looked at the lead, ascending; the first at which it is proved is the
            last. The chance is multiplied by their number (Bonferroni), since each look is a chance of its own.
    """
    questions = selections(split, bench.seed, data=bench.selection)
    old: list[float] = []
    new: list[float] = []
    by_chance = 1.0
    for look in looks:
        further = questions[len(old) : look]
        old += selection_scores(before, further, bench.threads)
        new = list(old) if after is before else new + selection_scores(after, further, bench.threads)
        groups = [example.query for example in questions[: len(old)]]
        gains = [one - other for one, other in zip(new, old, strict=True)]
        by_chance = min(1.0, len(looks) * chance(gains, groups, bench.seed))
        if by_chance <= LEVEL or len(old) == len(questions):
            break
    return _report(bench, split, questions[: len(old)], old, new), by_chance


def _report(
    bench: Bench, split: str, examples: Sequence[dspy.Example], old: Sequence[float], new: Sequence[float]
) -> PartReport:
    groups = [example.query for example in examples]
    said = json.dumps([example.toDict() for example in examples], sort_keys=True)
    return PartReport(
        SELECTION,
        f"the {split} situations of {'the sample' if bench.selection is None else _place(bench.selection)}",
        hashlib.sha256(said.encode()).hexdigest(),
        len(examples),
        {SELECTION: mean_figure(SELECTION, old, groups, seed=bench.seed)},
        {SELECTION: mean_figure(SELECTION, new, groups, seed=bench.seed)},
        compare(new, old, groups, seed=bench.seed),
        failed_before=sum(map(math.isnan, old)),
        failed_after=sum(map(math.isnan, new)),
    )


def _place(data: RecordFile | str | Path) -> str:
    return str(data.path if isinstance(data, RecordFile) else data)


def _questions(record: OvertonRecord) -> Iterator[dspy.Example]:
    options = [quoted(text) for text in record.explanation]
    if len(set(options)) < max(2, len(options)):
        return
    for value, explanation in zip(record.vrd, options, strict=True):
        yield dspy.Example(query=record.situation, attribute=value, options=options, choice=explanation).with_inputs(
            "query", "attribute", "options"
        )


def _selected(program: Steerable, example: dspy.Example) -> Steps[str]:
    (chosen,) = yield [Call(program.select, example.inputs().toDict(), program.base)]
    return str(chosen.choice)
