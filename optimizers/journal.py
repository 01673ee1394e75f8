"""The journal of a run: one line per finished record, on disk before the next one is begun, so that a crash loses none.

Every line carries a checksum. A kill in the middle of a line leaves a torn one, which is dropped when the journal is
opened again. The first line says what the journal belongs to, and a journal is only ever continued for the same. This
file knows neither programs nor datasets.
"""

import hashlib
import io
import json
import logging
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

from ..data import write_atomic

FORMAT = 1

_DIFFERENCES_SHOWN = 5

_logger = logging.getLogger(__name__)


class RunError(RuntimeError):
    """A run cannot start, or cannot usefully go on; what was answered so far is kept."""


class RunUsageError(RunError):
    """A run was given what does not fit together; another program, task or output is needed."""


@dataclass(frozen=True)
class Entry:
    """What became of one record.

    Attributes:
        index: Position in the file of records, from 0.
        id: The record's own id.
        digest: Digest of the record that was answered.
        answer: JSON value of the answer; None where the record failed.
        error: Why it failed; None where it was answered.
        failures: Communities that the answer had to do without, and why.
    """

    index: int
    id: int | str
    digest: str
    answer: Any = None
    error: str | None = None
    failures: Mapping[str, str] = field(default_factory=dict)


class Journal:
    """An append-only file of entries; `open` makes one or continues one, and any thread may `append`.

    Attributes:
        path: Where it is.
        entries: The latest entry per record index.
        outputs: Digests of the output files that were written from it.
    """

    def __init__(self, path: Path, file: BinaryIO) -> None:
        """Wrap a file that is open for appending; use `open`."""
        self.path = path
        self.entries: dict[int, Entry] = {}
        self.outputs: set[str] = set()
        self._file = file
        self._lock = threading.Lock()

    @classmethod
    def open(cls, path: Path, header: Mapping[str, str]) -> Self:
        """Start a journal, or continue the one that is there.

        Args:
            path: The journal's file.
            header: What the journal belongs to, as names and values.

        Raises:
            RunError: The file is no journal, or belongs to something else; it is left as it is.
        """
        first = _line({"journal": FORMAT, **header})
        if not path.exists():
            write_atomic(path, first)  # in one step, so that a journal always has its whole first line
        every = list(io.BytesIO(path.read_bytes()))
        lines = list(_sound_lines(every))
        if mismatch := _mismatch(lines, header):
            if not _is_journal(lines) or any(line.payload.get("answer") is not None for line in lines):
                raise RunError(f"{path} {mismatch}. To start afresh, choose another output, or move both files away")
            # Nothing was answered, as after a wrong setting: there is nothing to lose but the outputs' digests.
            every = [first, *(_line(line.payload) for line in lines if "output" in line.payload)]
            lines = list(_sound_lines(every))
            write_atomic(path, b"".join(every))
        journal = cls(path, path.open("r+b", buffering=0))
        journal._take_over(lines, len(every) - len(lines))
        return journal

    def append(self, entry: Entry) -> None:
        """Keep an entry; it is on disk when this returns."""
        with self._lock:
            self._write(asdict(entry))
            self.entries[entry.index] = entry

    def announce_output(self, content: bytes) -> None:
        """Note what is about to be written as output, so that `wrote` knows it again."""
        digest = hashlib.sha256(content).hexdigest()
        with self._lock:
            if digest not in self.outputs:
                self._write({"output": digest})
                self.outputs.add(digest)

    def wrote(self, content: bytes) -> bool:
        """Say whether an output file's content is one that was written from this journal."""
        return hashlib.sha256(content).hexdigest() in self.outputs

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, payload: Mapping[str, Any]) -> None:
        self._file.write(_line(payload))
        os.fsync(self._file.fileno())

    def _take_over(self, lines: list["_Line"], damaged: int) -> None:
        if damaged:
            _logger.warning("%s has %d line(s) not written to the end; their records are run again", self.path, damaged)
        self._file.truncate(lines[-1].end)
        self._file.seek(lines[-1].end)
        for line in lines[1:]:
            if "output" in line.payload:
                self.outputs.add(line.payload["output"])
            else:
                entry = Entry(**line.payload)
                self.entries[entry.index] = entry


@dataclass(frozen=True)
class _Line:
    start: int
    end: int
    payload: dict[str, Any]


def _line(payload: Mapping[str, Any]) -> bytes:
    return json.dumps({"checksum": _checksum(payload), "entry": payload}, allow_nan=False).encode() + b"\n"


def _checksum(payload: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]


def _sound_lines(lines: Sequence[bytes]) -> Iterator[_Line]:
    start = 0
    for line in lines:
        end = start + len(line)
        if line.endswith(b"\n") and (payload := _payload(line)) is not None:
            yield _Line(start, end, payload)
        start = end


def _payload(line: bytes) -> dict[str, Any] | None:
    try:
        read = json.loads(line)
        return read["entry"] if read["checksum"] == _checksum(read["entry"]) else None
    except (ValueError, TypeError, KeyError):
        return None


def _is_journal(lines: Sequence[_Line]) -> bool:
    return bool(lines) and lines[0].start == 0 and lines[0].payload.get("journal") == FORMAT


def _mismatch(lines: Sequence[_Line], header: Mapping[str, str]) -> str | None:
    """Say what keeps a journal from being continued under a header; None where nothing does."""
    if not _is_journal(lines):
        return "is not the journal of a run that this version can continue"
    found = {name: value for name, value in lines[0].payload.items() if name != "journal"}
    changed = [name for name in found.keys() | header.keys() if found.get(name) != header.get(name)]
    if not changed:
        return None
    changed.sort(key=lambda name: (name.count("."), name))  # the kind of program says more than its parts do
    shown = [
        f"{name} was {found.get(name, 'absent')}, is {header.get(name, 'absent')}"
        for name in changed[:_DIFFERENCES_SHOWN]
    ]
    hidden = len(changed) - len(shown)
    return "belongs to another run: " + "; ".join(shown) + (f"; and {hidden} more" if hidden else "")
