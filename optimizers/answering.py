"""One record answered by one program: what runs over files and evaluations have in common.

This file knows programs and records; where answers go, and what becomes of a failure, is for those who call it.
"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import dspy
from filelock import FileLock, Timeout

from ..data import Record
from ..programs.errors import reason
from ..programs.program import Program
from ..programs.question import Question
from .journal import RunError, RunUsageError

_LONGEST_ERROR = 500


class Answered(NamedTuple):
    """A prediction, and the JSON value that a record's `record_key` gets of it."""

    prediction: dspy.Prediction
    value: Any


def answer_record(program: dspy.Module, record: Record) -> Answered:
    """Ask a program what a record asks.

    Raises:
        RunUsageError: The prediction is of another mode than the record.
        Exception: Whatever the program raises, or a ValueError where its answer is none.
    """
    prediction = program(**record.example().inputs().toDict())
    if record.prediction_field not in prediction:
        raise RunUsageError(
            f"these records are answered by a prediction's {record.prediction_field!r}, and the program predicts "
            f"{', '.join(sorted(prediction.keys()))}. Run a program of another mode"
        )
    return Answered(prediction, record.answer(prediction[record.prediction_field]))


def failure_reason(program: dspy.Module, error: Exception) -> str:
    """Why a program failed, in one line that holds no secret of its LMs."""
    lms = [lm for _, lm in program.named_sub_modules(dspy.BaseLM)]
    if dspy.settings.lm is not None:
        lms.append(dspy.settings.lm)
    return reason(error, *lms, longest=_LONGEST_ERROR)


def check_fit(program: dspy.Module, record: Record) -> None:
    """Refuse before anybody is asked what would fail on every record of a kind.

    Raises:
        ValueError: The program needs what the record lacks, or would ignore what it has.
    """
    if isinstance(program, Program):
        example = record.example()
        question = Question(example.query, example.get("attribute"), example.get("options"))
        question.fit(type(program).__name__, program.attribute_use, program.options_use)


def record_digest(record: Record) -> str:
    """Tell a record from others by all that it says, answers aside."""
    return hashlib.sha256(json.dumps(record.model_dump(), sort_keys=True).encode()).hexdigest()[:16]


def group_digest(group: object) -> str:
    """Tell a situation or question from others, without its text."""
    return hashlib.sha256(str(group).encode(errors="surrogatepass")).hexdigest()[:16]


@contextmanager
def sole_writer(output: Path) -> Iterator[None]:
    """Keep other processes from writing the same output.

    Raises:
        RunError: One is writing it.
    """
    lock = FileLock(output.with_name(f".{output.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RunError(f"another run is writing {output}. Wait for it, or choose another output") from error
    try:
        yield
    finally:
        lock.release()
