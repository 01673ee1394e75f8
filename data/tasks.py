"""The table of the six tasks, and reading a file of records as one of them.

A task is recognised by what its records look like, never by what the file is called.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dspy

from .multiple_choice import CountryRecord, MoralChoiceRecord, OpinionRecord
from .overton import OvertonRecord
from .records import BadRecord, Record, RecordFileError, fill, load_rows
from .steerable import SteerableRecord


@dataclass(frozen=True)
class Task:
    """A dataset in one mode.

    Attributes:
        name: Such as `steerable-vk`.
        mode: `overton`, `steerable` or `distributional`.
        record: The type that reads its records, and knows which field of a prediction answers which key.
    """

    name: str
    mode: str
    record: type[Record]


TASKS: Mapping[str, Task] = {
    task.name: task
    for task in (
        Task("overton-vk", "overton", OvertonRecord),
        Task("overton-judge", "overton", OvertonRecord),
        Task("steerable-vk", "steerable", SteerableRecord),
        Task("steerable-opinionqa", "steerable", OpinionRecord),
        Task("distributional-moralchoice", "distributional", MoralChoiceRecord),
        Task("distributional-globalopinionqa", "distributional", CountryRecord),
    )
}
"""Task per name. A record looks like the first that it fits: the last takes any population in plain words."""


@dataclass(frozen=True)
class RecordFile:
    """A file of one task's records, read.

    Attributes:
        path: Where it was read from.
        digest: SHA-256 of its bytes, hexadecimal.
        task: What its records belong to.
        rows: All rows as they were, bad ones among them.
        records: The readable records by index.
        bad: The others.
    """

    path: Path
    digest: str
    task: Task
    rows: tuple[Any, ...]
    records: Mapping[int, Record]
    bad: tuple[BadRecord, ...]

    def examples(self) -> list[dspy.Example]:
        """Return the readable records as examples, in order."""
        return [record.example() for record in self.records.values()]

    def filled(self, answers: Mapping[int, Any]) -> list[Any]:
        """Return the rows with answers (by index) in place, and null where there is none."""
        return fill(self.rows, self.task.record.record_key, answers)


def read_records(path: str | Path, task: str | Task | None = None, *, limit: int | None = None) -> RecordFile:
    """Read a benchmark file.

    Args:
        path: A JSON list of records.
        task: A task of one's own, or a name in `TASKS`. Where it is None, the records show it: it is the task that more
            than half of those that look like any task look like, whatever the limit.
        limit: Read no more than so many rows, from the first.

    Raises:
        RecordFileError: The file is no list of records, or no task fits most of them.
        ValueError: The task is unknown, or the limit is less than 1.
    """
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it is a number of records, 1 or more")
    named = find_task(task) if isinstance(task, str) else task
    loaded = load_rows(path)
    rows = loaded.rows[:limit]
    found = named or _recognise(loaded.path, loaded.rows)
    return check_rows(loaded.path, loaded.digest, found, rows)


def check_rows(path: Path, digest: str, task: Task, rows: tuple[Any, ...]) -> RecordFile:
    """Read every row as a record of a task; those that cannot be read are kept apart, with the reason."""
    records: dict[int, Record] = {}
    bad: list[BadRecord] = []
    for index, row in enumerate(rows):
        try:
            records[index] = task.record.read(row)
        except ValueError as error:
            bad.append(BadRecord(index, str(error)))
    return RecordFile(path, digest, task, rows, records, tuple(bad))


def find_task(name: str) -> Task:
    """Look a task up.

    Raises:
        ValueError: There is none of that name; the message lists those there are.
    """
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; the tasks are {', '.join(TASKS)}")
    return TASKS[name]


def _recognise(path: Path, rows: Sequence[object]) -> Task:
    """The task of most records; odd ones do not change it, and what it cannot read of them is a bad record."""
    looks: dict[str, list[int]] = defaultdict(list)
    for index, row in enumerate(rows):
        if task := next((task for task in TASKS.values() if task.record.fits(row)), None):
            looks[task.name].append(index)
    if not looks:
        keys = "; ".join(f"{task.name}: {', '.join(sorted(task.record.shape))}" for task in TASKS.values())
        raise RecordFileError(f"{path} holds no record of a known task. A record needs at least these keys: {keys}")
    most = max(looks, key=lambda name: len(looks[name]))
    if 2 * len(looks[most]) > sum(map(len, looks.values())):
        return TASKS[most]
    found = ", ".join(f"record {indices[0]} looks like {name}" for name, indices in looks.items())
    raise RecordFileError(
        f"{path} mixes records of several tasks: {found}. Name the task to read it as one of them (--task, or task=)"
    )
