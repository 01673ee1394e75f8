"""The records of a compilation: train for search, dev for choice, test for one look at the end.

They are parted by situation, as everywhere: what is dev here is dev in every evaluation of the same records. This file
knows records; it must not know programs.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import dspy

from ...data import RecordFile, Split, load_task, split_records
from ..journal import RunUsageError


@dataclass(frozen=True)
class Part:
    """One part, as examples.

    Attributes:
        name: `train`, `dev` or `test`.
        digest: SHA-256 of its records, whatever the limit.
        examples: Those that somebody has to be asked about.
    """

    name: str
    digest: str
    examples: list[dspy.Example]


@dataclass(frozen=True)
class Parts:
    """The three parts, and where they are from."""

    task: str
    data: str
    train: Part
    dev: Part
    test: Part


def parts_of(task: str, data: RecordFile | str | Path | None = None, limit: int | None = None, seed: int = 0) -> Parts:
    """Load and part the records of a task.

    Args:
        task: A name in `modplural.data.TASKS`.
        data: Records, or where they are; see `load_task`.
        limit: So many examples of each part only, drawn from all of it: files are often sorted by what is easy.
        seed: Of the draw; the parts themselves are the same for every seed.

    Raises:
        RunUsageError: One of the parts is empty.
        ValueError: The limit is less than 1, or the task is unknown.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it is a number of records, 1 or more")
    records = data if isinstance(data, RecordFile) else load_task(task, data)
    if records.task.name != task:
        raise RunUsageError(f"{records.path} holds records of {records.task.name}, and {task} was to be compiled")
    found = [_part(split, limit, seed) for split in split_records(records)]
    for part in found:
        if not part.examples:
            raise RunUsageError(
                f"{records.path} has no record for {part.name}, which compiling cannot do without; give more records"
            )
    return Parts(task, str(records.path), *found)


def _part(split: Split, limit: int | None, seed: int) -> Part:
    asked = [record.example() for record in split.records.values() if record.settled() is None]
    if limit is not None and limit < len(asked):
        places = random.Random(seed).sample(range(len(asked)), limit)
        asked = [asked[place] for place in sorted(places)]
    return Part(split.name, split.digest, asked)
