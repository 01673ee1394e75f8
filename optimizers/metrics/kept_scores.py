"""Scores of pairs of texts, kept in a file between runs: an SQLite table that several processes may share."""

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

Pair = tuple[str, str]


class KeptScores:
    """The scores of one scorer in a file, which may hold those of others as well."""

    def __init__(self, file: Path, scorer: str) -> None:
        """Open a file, or start one.

        Args:
            file: Its parents are made where they are missing.
            scorer: The scorer's name; scores are found again under the same name only.

        Raises:
            sqlite3.DatabaseError: The file is something else; it is left as it is.
        """
        self._file = file
        self._scorer = scorer
        file.parent.mkdir(parents=True, exist_ok=True)
        with self._connection() as connection:
            connection.execute("CREATE TABLE IF NOT EXISTS scores (pair TEXT PRIMARY KEY, score REAL) WITHOUT ROWID")

    def read(self, pairs: Iterable[Pair]) -> dict[Pair, float]:
        """The scores of those pairs that have one."""
        with self._connection() as connection:
            query = "SELECT score FROM scores WHERE pair = ?"
            rows = {pair: connection.execute(query, (self._key(pair),)).fetchone() for pair in pairs}
        return {pair: float(row[0]) for pair, row in rows.items() if row is not None}

    def add(self, scores: Mapping[Pair, float]) -> None:
        """Keep the scores of some pairs; a pair that has one keeps the former."""
        rows = [(self._key(pair), score) for pair, score in scores.items()]
        with self._connection() as connection:
            connection.executemany("INSERT OR IGNORE INTO scores VALUES (?, ?)", rows)

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._file, timeout=60)) as connection, connection:
            yield connection

    def _key(self, pair: Pair) -> str:
        return hashlib.sha256(json.dumps([self._scorer, *pair]).encode()).hexdigest()
