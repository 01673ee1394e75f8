"""Benchmark files in the field's common format: a JSON list of records, read record by record and written back.

A record that cannot be read is reported by its index and the rest goes on; what a record holds beside its answer is
written back as it was, in the order of the file. This file knows no dataset: `overton`, `steerable` and
`multiple_choice` describe one record shape each, and `tasks` says which task has which.
"""

import hashlib
import json
import os
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import dspy
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
"""A text that says something: stripped, not empty."""

_REASONS_SHOWN = 3


class RecordFileError(ValueError):
    """A whole file cannot be read as benchmark records; the message names the file, the reason and the remedy."""


@dataclass(frozen=True)
class BadRecord:
    """A record that was left out: its position in the file, from 0, and why."""

    index: int
    reason: str


class Record(BaseModel):
    """One record of a dataset; a subclass declares the keys it reads and how they become a `dspy.Example`.

    Attributes:
        shape: Keys by which an unnamed record is recognised.
        prediction_field: The field of a program's prediction that answers a record.
        record_key: The key of the record that the answer is written to.
    """

    model_config = ConfigDict(strict=True, frozen=True, allow_inf_nan=False)

    shape: ClassVar[frozenset[str]]
    prediction_field: ClassVar[str]
    record_key: ClassVar[str]

    id: int | str

    @classmethod
    def fits(cls, row: object) -> bool:
        """Say whether a row of a file looks like this record, well-formed or not."""
        return isinstance(row, dict) and cls.shape <= row.keys()

    @classmethod
    def read(cls, row: object) -> Self:
        """Read one row of a file.

        Raises:
            ValueError: The row is not such a record; the message names the keys and what is wrong with them.
        """
        try:
            return cls.model_validate(row)
        except ValidationError as error:
            raise ValueError(_reasons(error)) from error

    @abstractmethod
    def example(self) -> dspy.Example:
        """Return the inputs of a program's call (`query`; `attribute` and `options` where there are) and the gold."""

    @abstractmethod
    def answer(self, value: Any) -> Any:
        """Turn the prediction's `prediction_field` into the JSON value of the record's `record_key`.

        Raises:
            ValueError: The value is no answer to this record; the message says why.
        """

    def settled(self) -> Any | None:
        """Return the answer that this record can only have, or None where a program has to be asked."""
        return None


@dataclass(frozen=True)
class Rows:
    """The rows of a file as they were read, and the digest (SHA-256, hexadecimal) of the file's bytes."""

    path: Path
    rows: tuple[Any, ...]
    digest: str


def load_rows(path: str | Path) -> Rows:
    """Load a JSON list.

    Raises:
        RecordFileError: The file is not JSON, or is not a list of at least one record.
        OSError: The file cannot be read.
    """
    path = Path(path)
    content = path.read_bytes()
    try:
        rows = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise RecordFileError(f"{path} is not JSON: {error}. Benchmark records are one JSON list of objects") from error
    if not isinstance(rows, list) or not rows:
        found = "an empty list" if rows == [] else f"one JSON {type(rows).__name__}"
        raise RecordFileError(f"{path} holds {found}, where a JSON list of records is expected")
    return Rows(path, tuple(rows), hashlib.sha256(content).hexdigest())


def fill(rows: Sequence[Any], key: str, answers: Mapping[int, Any]) -> list[Any]:
    """Put answers into copies of the rows.

    Args:
        rows: The rows of a file; those that are no JSON object are passed on unchanged.
        key: The key that answers go to.
        answers: Answer per row index. A row without one gets null, so that an answer which the file came with cannot
            pass for a new one.
    """
    return [{**row, key: answers.get(index)} if isinstance(row, dict) else row for index, row in enumerate(rows)]


def encode_rows(rows: Sequence[Any]) -> bytes:
    """Encode rows as UTF-8 JSON, one key per line as the field's files have it."""
    text = json.dumps(list(rows), ensure_ascii=False, indent=1)
    # A lone surrogate cannot be encoded; its backslash form is the JSON escape that it was read from.
    return text.encode("utf-8", errors="backslashreplace") + b"\n"


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file so that a reader, or a crash, finds the old content or the new one and never a part."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _reasons(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False)
    shown = [
        f"{_where(entry['loc'])}: {entry['msg'].removeprefix('Value error, ')}" for entry in found[:_REASONS_SHOWN]
    ]
    hidden = len(found) - len(shown)
    return "; ".join(shown) + (f"; and {hidden} more" if hidden else "")


def _where(location: tuple[int | str, ...]) -> str:
    return "key " + ".".join(map(str, location)) if location else "record"
