"""The file of an evaluation: every result and message is on disk as soon as it is there, so that a crash loses none.

One SQLite file in write-ahead mode. `synchronous=FULL` writes each through to the disk before it counts as kept: about
a millisecond, which is nothing beside what an LM takes. This file knows keys and JSON data; it must not know programs,
tasks or LMs.
"""

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ..journal import RunError
from .usage import Tokens, Usage, total

FORMAT = 1

_SCHEMA = """
CREATE TABLE results (
    key TEXT PRIMARY KEY, program TEXT, record TEXT, prediction TEXT, error TEXT, seconds REAL, usage TEXT
) WITHOUT ROWID;
CREATE TABLE messages (key TEXT PRIMARY KEY, community TEXT, query TEXT, message TEXT, usage TEXT) WITHOUT ROWID;
CREATE TABLE verdicts (key TEXT PRIMARY KEY, verdict TEXT, usage TEXT) WITHOUT ROWID;
CREATE TABLE programs (digest TEXT PRIMARY KEY, described TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Result:
    """What became of one record that one program was asked.

    Attributes:
        key: Tells it from all others.
        program: Digest of the program.
        record: Digest of the record.
        prediction: JSON data; None where the program failed.
        error: Why it failed; None where it did not.
        seconds: How long it took.
        usage: What LMs were asked for it, in failed attempts as well; communities' messages are counted with these.
    """

    key: str
    program: str
    record: str
    prediction: Mapping[str, Any] | None
    error: str | None
    seconds: float
    usage: Usage = field(default_factory=dict)


class Store:
    """The file. Any thread may use it; only one process at a time may write it."""

    def __init__(self, path: Path) -> None:
        """Open a file, or start one.

        Raises:
            RunError: The file is something else, or of another version; it is left as it is.
        """
        self._path = path
        self._lock = threading.Lock()
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=60)
        try:
            self._prepare(path)
            with self._whole():
                self._usage = self._counted()
        except BaseException:
            self._connection.close()
            raise

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the file, when who is writing has written."""
        with self._lock:
            self._connection.close()

    def results(self, keys: Iterable[str]) -> dict[str, Result]:
        """Those of some results that are there."""
        wanted = set(keys)
        with self._whole():
            rows = self._ask("SELECT key, program, record, prediction, error, seconds, usage FROM results")
            return {row[0]: _result(row) for row in rows if row[0] in wanted}

    def keep(self, result: Result) -> None:
        """Keep a result; it is on disk when this returns. One that failed gives way, one that did not stays.

        Raises:
            RunError: It cannot be written, such as to a full disk.
        """
        with self._lock, self._told(), self._transaction():
            (before,) = self._run("SELECT usage FROM results WHERE key = ?", result.key) or [(None,)]
            usage = total([_usage(before[0]), result.usage])
            self._run(
                "INSERT INTO results VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO UPDATE SET prediction ="
                " excluded.prediction, error = excluded.error, seconds = excluded.seconds, usage = excluded.usage"
                " WHERE error IS NOT NULL",
                result.key,
                result.program,
                result.record,
                None if result.prediction is None else _json(result.prediction),
                result.error,
                result.seconds,
                _json(usage),
            )
            self._count(result.usage)

    def message(self, key: str) -> str | None:
        """A message that was kept."""
        found = self._ask("SELECT message FROM messages WHERE key = ?", key)
        return json.loads(found[0][0]) if found else None

    def keep_message(self, key: str, community: str, query: str, message: str, usage: Usage) -> None:
        """Keep a message; it is on disk when this returns."""
        # As JSON: texts may hold halves of characters, which SQLite does not take.
        row = (key, community, _json(query), _json(message), _json(usage))
        self._add("INSERT OR IGNORE INTO messages VALUES (?, ?, ?, ?, ?)", *row, usage=usage)

    def usage(self) -> dict[str, Tokens]:
        """What LMs were asked for everything that is kept."""
        return self._usage

    def verdict(self, key: str) -> Any:
        """A judge's verdict that was kept, as JSON data; None where there is none."""
        found = self._ask("SELECT verdict FROM verdicts WHERE key = ?", key)
        return json.loads(found[0][0]) if found else None

    def keep_verdict(self, key: str, verdict: Any, usage: Usage) -> None:
        """Keep a verdict; it is on disk when this returns."""
        self._add("INSERT OR IGNORE INTO verdicts VALUES (?, ?, ?)", key, _json(verdict), _json(usage), usage=usage)

    def describe(self, digest: str, described: Mapping[str, str]) -> None:
        """Say what the digest of a program stands for."""
        self._ask("INSERT OR IGNORE INTO programs VALUES (?, ?)", digest, _json(described))

    def _prepare(self, path: Path) -> None:
        try:
            (found,) = self._run("PRAGMA user_version")[0]
            tables = self._run("SELECT name FROM sqlite_master")
            if found != FORMAT and tables:
                raise RunError(
                    f"{path} is not the file of an evaluation that this version can continue. Choose another output"
                )
            self._run("PRAGMA journal_mode = WAL")
            self._run("PRAGMA synchronous = FULL")
            if not tables:
                # In one step, so that a crash leaves an empty file or a whole one.
                self._connection.executescript(f"BEGIN; {_SCHEMA} PRAGMA user_version = {FORMAT}; COMMIT;")
        except sqlite3.DatabaseError as error:
            raise RunError(
                f"{path} cannot be read as the file of an evaluation ({error}). Choose another output"
            ) from error

    def _counted(self) -> dict[str, Tokens]:
        """What the file says that LMs were asked; from then on it is added up, as reading all of it takes a while."""
        tables = ("results", "messages", "verdicts")
        rows = self._run(" UNION ALL ".join(f"SELECT usage FROM {table}" for table in tables))
        return total(_usage(row[0]) for row in rows)

    def _count(self, usage: Usage) -> None:
        """Count what the last statement kept; it may have left what was there."""
        ((kept,),) = self._run("SELECT changes()")
        if kept:
            self._usage = total([self._usage, usage])

    def _add(self, statement: str, *values: Any, usage: Usage) -> None:
        with self._lock, self._told():
            self._run(statement, *values)
            self._count(usage)

    def _ask(self, statement: str, *values: Any) -> list[Any]:
        with self._lock, self._told():
            return self._run(statement, *values)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say which file it is that SQLite cannot read or write: a full disk fails no row, it ends the evaluation."""
        try:
            yield
        except sqlite3.Error as error:
            raise RunError(
                f"{self._path} cannot be used any more ({error}). What it holds is kept: see to the disk that it is on,"
                " then give the same command again"
            ) from error

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Say of what is there and cannot be read which file it is in, and what can be done."""
        try:
            yield
        except (sqlite3.DatabaseError, ValueError, TypeError, AttributeError) as error:
            raise RunError(
                f"{self._path} is damaged ({error}), so that its rows cannot be taken for results. Put a copy in its"
                " place, or choose another output"
            ) from error

    def _run(self, statement: str, *values: Any) -> list[Any]:
        with closing(self._connection.execute(statement, values)) as cursor:
            return cursor.fetchall()

    def _transaction(self) -> sqlite3.Connection:
        self._run("BEGIN IMMEDIATE")
        return self._connection  # which commits, or rolls back, at the end of a `with`


def _result(row: tuple[Any, ...]) -> Result:
    key, program, record, prediction, error, seconds, usage = row
    return Result(key, program, record, prediction and json.loads(prediction), error, seconds, _usage(usage))


def _usage(text: str | None) -> dict[str, Tokens]:
    return {model: Tokens(*tokens) for model, tokens in json.loads(text).items()} if text else {}


def _json(value: Any) -> str:
    return json.dumps(value, allow_nan=False)
