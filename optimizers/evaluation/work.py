"""What an evaluation has to do: one job for each program and each record that has to be asked.

This file knows what tells one job from another, and in which order they are best done; it must not know how.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, NamedTuple

import dspy

from ...data import Record, RecordFile
from ...data.drawing import drawn
from ..answering import record_digest
from ..fingerprint import fingerprint


@dataclass(frozen=True)
class Plan:
    """One task: its records, and the programs that answer them.

    Attributes:
        records: The records, such as a `Split` of them.
        programs: Program by the name of its method.
    """

    records: RecordFile
    programs: Mapping[str, dspy.Module]

    @property
    def task(self) -> str:
        """The task's name."""
        return self.records.task.name

    @cached_property
    def digests(self) -> Mapping[str, str]:
        """Digest of the program by method: all that decides its answers."""
        return {method: program_digest(program) for method, program in self.programs.items()}


class Place(NamedTuple):
    """Where a result belongs: a task, a method and the index of the record."""

    task: str
    method: str
    row: int


@dataclass(frozen=True)
class Job:
    """One program and one record.

    Attributes:
        key: Tells its result from all others.
        program: Who is asked.
        program_digest: Digest of the program.
        record: What is asked.
        record_digest: Digest of the record.
    """

    key: str
    program: dspy.Module
    program_digest: str
    record: Record
    record_digest: str


def program_digest(program: dspy.Module) -> str:
    """Digest of all that decides a program's answers; see `fingerprint`."""
    return _digest(fingerprint(program))


def jobs_of(plans: Sequence[Plan]) -> dict[Place, Job]:
    """The job of every place that a program has to be asked for; places that ask the same have the same key.

    They are in the order in which they are best begun. Tasks and methods take turns, so that generations and
    likelihoods fill batches together; and records that share a query come apart, because who asks for a message that
    is on its way has to wait for it.
    """
    found: dict[Place, Job] = {}
    turns: dict[Place, tuple[int, int]] = {}
    for plan in plans:
        asked: Counter[str] = Counter()
        for index, record in plan.records.records.items():
            if record.settled() is not None:
                continue
            query = record.example().query
            digest = record_digest(record)
            for method, program in plan.programs.items():
                place = Place(plan.task, method, index)
                found[place] = _job(program, plan.digests[method], record, digest)
                turns[place] = asked[query], index
            asked[query] += 1
    return {place: found[place] for place in sorted(found, key=turns.__getitem__)}


def drawn_records(records: RecordFile, limit: int, seed: int = 0) -> RecordFile:
    """So many readable records, drawn from all: files are often sorted by what is easy. The digest stays that of all.

    A larger limit draws the records of a smaller one and more, so that their answers count for both.

    Raises:
        ValueError: The limit is less than 1.
    """
    indices = sorted(records.records)
    kept = [indices[place] for place in drawn([records.records[index] for index in indices], limit, seed)]
    found = {place: records.records[index] for place, index in enumerate(kept)}
    return replace(records, rows=tuple(records.rows[index] for index in kept), records=found)


def settled_prediction(record: Record) -> dict[str, Any] | None:
    """The prediction for a record that nobody has to be asked about; None for all others."""
    if record.settled() is None:
        return None
    (option,) = record.example().options
    return {"option": option, "probabilities": {option: 1.0}}


def _job(program: dspy.Module, digest: str, record: Record, said: str) -> Job:
    # Tasks that read the same kind of record differ in their metric only: what is asked and answered is the same.
    key = _digest({"program": digest, "records": type(record).__qualname__, "record": said})
    return Job(key, program, digest, record, said)


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
