"""One way to the records of a task, wherever they are: shipped with the package, in a file, or a public dataset."""

import hashlib
from importlib.resources import as_file
from itertools import islice
from pathlib import Path

from ..records import encode_rows
from ..samples import sample
from ..tasks import RecordFile, check_rows, find_task, read_records
from .catalog import find_source, source_of
from .source import Source, SourceError


def load_task(task: str, source: str | Path | None = None, *, limit: int | None = None) -> RecordFile:
    """Load the records of a task.

    Args:
        task: A name in `modplural.data.TASKS`.
        source: Where they are. None: the sample that comes with the package. A file in the common format. A folder or
            a `.csv` file in the own layout of the task's dataset. Or that dataset's name, such as `moralchoice`, or its
            id on the hub, such as `ninoscherrer/moralchoice`. What exists on disk wins over a name.
        limit: Load no more than so many records, from the first.

    Returns:
        The records. Where they are from a dataset, `path` is the folder, or the id on the hub; `rows` are in the common
        format, so that `encode_rows(found.rows)` is a file of them, and `digest` is of these bytes.

    Raises:
        SourceError: The dataset cannot be had, is not laid out as published, or does not serve the task.
        RecordFileError: The file is no list of records.
        ValueError: The task is unknown or has no sample, or the limit is less than 1.
    """
    find_task(task)
    if limit is not None and limit < 1:
        raise ValueError(f"limit is {limit}; it is a number of records, 1 or more")
    if source is None:
        with as_file(sample(task)) as path:
            return read_records(path, task, limit=limit)
    place = Path(source).expanduser()
    if place.is_file() and place.suffix.lower() != ".csv":
        return read_records(place, task, limit=limit)
    if place.exists():
        return _from_dataset(source_of(task), task, place, limit)
    named = find_source(str(source))
    if task not in named.tasks:
        raise SourceError(f"{named.name} serves {', '.join(named.tasks)}; {task} is made of {source_of(task).name}")
    return _from_dataset(named, task, None, limit)


def _from_dataset(source: Source, task: str, place: Path | None, limit: int | None) -> RecordFile:
    rows = tuple(islice(source.rows(task, place), limit))
    path = place or Path(source.hub_id or source.name)
    if not rows:
        raise SourceError(f"{path} holds no rows; get {source.name} anew: {source.remedy()}")
    return check_rows(path, hashlib.sha256(encode_rows(rows)).hexdigest(), find_task(task), rows)
