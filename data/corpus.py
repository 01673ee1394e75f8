"""Corpora of communities: messages of one community, each on its query, from a JSONL file or a dataset of the hub.

A corpus that cannot be used is refused with every bad line named. This file knows nothing of models.
"""

import hashlib
import json
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from .records import Text

_LINES_SHOWN = 5


class CorpusError(ValueError):
    """A corpus cannot be used; the message names the lines, what is wrong with them and what a line looks like."""


class Comment(BaseModel):
    """What a community says about a query: one line of a corpus. Other keys of the line are ignored."""

    model_config = ConfigDict(strict=True, frozen=True, extra="ignore")

    query: Text
    message: Text


@dataclass(frozen=True)
class Corpus:
    """The comments of one community.

    Attributes:
        comments: In the order of the source.
        source: Where they are from, for people.
    """

    comments: tuple[Comment, ...]
    source: str

    @property
    def queries(self) -> tuple[str, ...]:
        """The distinct queries, in order."""
        return tuple(dict.fromkeys(comment.query for comment in self.comments))

    @property
    def digest(self) -> str:
        """SHA-256 of the comments, 16 hexadecimal digits."""
        rows = [[comment.query, comment.message] for comment in self.comments]
        return hashlib.sha256(json.dumps(rows, ensure_ascii=False).encode()).hexdigest()[:16]

    def split(self, share: float, seed: int) -> tuple["Corpus", "Corpus"]:
        """Part the corpus by queries, so that no query is on both sides: the rest, and at least one query of it.

        Args:
            share: Share of the queries that go into the second part, between 0 and 1.
            seed: Chooses which.

        Raises:
            CorpusError: There is only one query.
        """
        queries = list(self.queries)
        if len(queries) < 2:
            raise CorpusError(f"{self.source}: all comments are on one query, so none can be held out; give more")
        random.Random(seed).shuffle(queries)
        count = min(max(1, round(share * len(queries))), len(queries) - 1)
        chosen = set(queries[:count])
        parts = ([c for c in self.comments if (c.query in chosen) is held] for held in (False, True))
        rest, held_out = (Corpus(tuple(part), self.source) for part in parts)
        return rest, held_out


def read_corpus(source: str | Path) -> Corpus:
    """Read a corpus.

    Args:
        source: A JSONL file with one `{"query": ..., "message": ...}` a line, or the id (`owner/name`) of a hub dataset
            with these columns, whose `train` split is read. A file wins where both exist.

    Raises:
        CorpusError: It is not there, empty, not UTF-8, has bad lines, or says one and the same in every line.
    """
    path = Path(source).expanduser()
    if path.is_file():
        return _checked(_lines(path), str(path), "line")
    if isinstance(source, str) and source.count("/") == 1 and not path.suffix and not path.parent.is_dir():
        return _checked(enumerate(_hub_rows(source), 1), source, "row")
    raise CorpusError(f"{source}: no such file; a corpus is a JSONL file, or a dataset of the hub (owner/name)")


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The numbered lines of a file, parsed; a line that is no JSON comes as the error."""
    for number, line in enumerate(path.read_bytes().splitlines(), 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
            if text.strip():
                yield number, json.loads(text)
        except UnicodeDecodeError as error:
            yield number, ValueError(f"not UTF-8 (byte {error.start + 1} of the line); save the file as UTF-8")
        except RecursionError:
            yield number, ValueError('nested too deeply; give {"query": ..., "message": ...} with texts in it')
        except ValueError as error:
            yield number, ValueError(f"no JSON ({error})")


def _hub_rows(repo_id: str) -> Iterable[Any]:
    try:
        from datasets import load_dataset
    except ImportError as error:
        raise CorpusError(f"{repo_id}: hub datasets need the package datasets; run `pip install datasets`") from error
    try:
        return load_dataset(repo_id, split="train")
    except Exception as error:  # the library raises whatever its loaders and the network do
        raise CorpusError(f"{repo_id}: the hub dataset cannot be read ({type(error).__name__}: {error})") from error


def _checked(rows: Iterable[tuple[int, Any]], source: str, unit: str) -> Corpus:
    comments: dict[int, Comment] = {}
    problems: list[str] = []
    for number, row in rows:
        try:
            comments[number] = _comment(row)
        except ValueError as error:
            problems.append(f"{source}:{number}: {error}")
    problems += [f"{source}:{number}: repeats {unit} {first}" for number, first in _repeated(comments)]
    if problems:
        more = f"\nand {len(problems) - _LINES_SHOWN} more" if len(problems) > _LINES_SHOWN else ""
        raise CorpusError("\n".join(problems[:_LINES_SHOWN]) + more)
    if not comments:
        raise CorpusError(f'{source}: the corpus is empty; give a line {{"query": ..., "message": ...}} per comment')
    _check_variety(list(comments.values()), source)
    return Corpus(tuple(comments.values()), source)


def _comment(row: object) -> Comment:
    if isinstance(row, ValueError):
        raise row
    if not isinstance(row, Mapping):
        raise ValueError(f'a {type(row).__name__}, where {{"query": ..., "message": ...}} is expected')
    try:
        return Comment.model_validate(dict(row))
    except ValidationError as error:
        reasons = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise ValueError(reasons) from error


def _repeated(comments: Mapping[int, Comment]) -> Iterator[tuple[int, int]]:
    first: dict[Comment, int] = {}
    for number, comment in comments.items():
        if first.setdefault(comment, number) != number:
            yield number, first[comment]


def _check_variety(comments: Sequence[Comment], source: str) -> None:
    """An LM that is trained on one thing learns to say it about everything."""
    for what, values in (("query", {c.query for c in comments}), ("message", {c.message for c in comments})):
        if len(values) == 1 and len(comments) > 1:
            raise CorpusError(
                f"{source}:1-{len(comments)}: every line has the same {what}; give comments that differ, on different"
                " queries"
            )
