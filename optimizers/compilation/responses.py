"""A program's responses by query, each asked for when it is first needed: what `overton-judge` compares with.

They are asked for where they are compared, so that they are counted, estimated and limited like everything else. This
file knows programs; it must not know what their responses are compared with.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import dspy

from ...programs.program import Program
from ..metrics.scorers import Memo


class Responses(Mapping[str, str]):
    """The responses of a program to some queries; threads that need the same one at the same time ask for it once."""

    def __init__(self, program: Program, queries: Iterable[str]) -> None:
        """Ask nobody yet."""
        self._program = program
        self._queries = dict.fromkeys(queries)
        self._responses: Memo[str, str] = Memo(self._respond)

    def __getitem__(self, query: str) -> str:
        """The response to a query.

        Raises:
            KeyError: It is none of the queries.
            Exception: Whatever the program raises.
        """
        if query not in self._queries:
            raise KeyError(query)
        (response,) = self._responses.get([query])
        return response

    def __contains__(self, query: object) -> bool:
        return query in self._queries

    def __iter__(self) -> Iterator[str]:
        return iter(self._queries)

    def __len__(self) -> int:
        return len(self._queries)

    def _respond(self, queries: list[str]) -> list[str]:
        with dspy.context(trace=None):  # what is said here is no part of the trace of a program that is being compiled
            return [str(self._program(query).response) for query in queries]
