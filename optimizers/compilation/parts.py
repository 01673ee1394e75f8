"""The records of a compilation: train for search, dev for choice, test for one look at the end.

They are parted by situation, as everywhere: what is dev here is dev in every evaluation of the same records. Records
from elsewhere may be looked at in the end as well; of these, no situation is among the others. This file knows records;
it must not know programs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import dspy

from ...data import Record, RecordFile, load_task, split_records
from ...data.drawing import drawn
from ...data.splits import normalised, situation
from ..answering import record_digest
from ..journal import RunUsageError

UNSEEN = "unseen"
"""The part that is from elsewhere."""


@dataclass(frozen=True)
class Part:
    """One part, as examples.

    Attributes:
        name: `train`, `dev`, `test` or `unseen`.
        digest: SHA-256 of its records, whatever the limit.
        source: Where the records are from.
        examples: Those that somebody has to be asked about.
        records: The digest of each one's record.
    """

    name: str
    digest: str
    source: str
    examples: list[dspy.Example]
    records: list[str]


@dataclass(frozen=True)
class Parts:
    """The parts, and where the first three are from.

    Attributes:
        unseen: Records from elsewhere; None where there are none.
    """

    task: str
    data: str
    train: Part
    dev: Part
    test: Part
    unseen: Part | None = None

    @property
    def scored_last(self) -> tuple[Part, ...]:
        """Those that are looked at in the end only."""
        return (self.test,) if self.unseen is None else (self.test, self.unseen)


@dataclass(frozen=True)
class Unseen:
    """Records that no search sees, and that are scored in the end as the test records are.

    Attributes:
        data: Records, or where they are; see `load_task`.
        limit: So many of them only, drawn by the seed.
    """

    data: RecordFile | str | Path
    limit: int | None = None


def parts_of(
    task: str,
    data: RecordFile | str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    unseen: Unseen | None = None,
) -> Parts:
    """Load and part the records of a task.

    Args:
        task: A name in `modplural.data.TASKS`.
        data: Records, or where they are; see `load_task`.
        limit: So many examples of each part only, drawn from all of it: files are often sorted by what is easy.
        seed: Of the draw; the parts themselves are the same for every seed.
        unseen: Records from elsewhere; those of situations that are in the others are left out.

    Raises:
        RunUsageError: One of the parts is empty.
        ValueError: A limit is less than 1, or the task is unknown.
    """
    whole = _load(task, data)
    train, dev, test = (
        _part(split.name, split.digest, whole, split.records.values(), limit, seed) for split in split_records(whole)
    )
    further = None if unseen is None else _unseen(task, unseen, whole, seed)
    return Parts(task, str(whole.path), train, dev, test, further)


def _unseen(task: str, unseen: Unseen, whole: RecordFile, seed: int) -> Part:
    records = _load(task, unseen.data)
    seen = {normalised(situation(record)) for record in whole.records.values()}
    kept = [record for record in records.records.values() if normalised(situation(record)) not in seen]
    return _part(UNSEEN, records.digest, records, kept, unseen.limit, seed)


def _load(task: str, data: RecordFile | str | Path | None) -> RecordFile:
    records = data if isinstance(data, RecordFile) else load_task(task, data)
    if records.task.name != task:
        raise RunUsageError(f"{records.path} holds records of {records.task.name}, and {task} was to be compiled")
    return records


def _part(name: str, digest: str, whole: RecordFile, records: Iterable[Record], limit: int | None, seed: int) -> Part:
    asked = [record for record in records if record.settled() is None]
    if not asked:
        if name == UNSEEN:
            raise RunUsageError(f"{whole.path} has no record of a situation that is not compiled on; give others")
        raise RunUsageError(
            f"{whole.path} has no record for {name}, which compiling cannot do without; give more records"
        )
    if limit is not None:
        asked = [asked[place] for place in drawn(asked, limit, seed)]
    return Part(name, digest, str(whole.path), [one.example() for one in asked], [record_digest(one) for one in asked])
