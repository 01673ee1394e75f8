"""Parting the records of a task into `train`, `dev` and `test`, by situation.

A hash of the seed and the situation decides, and nothing else. So all records of one situation or question are in one
split, whatever value, group or country they ask about, also across the tasks that share situations; and a record stays
where it is when others are added, taken away or put in another order.
"""

import hashlib
import json
import math
import re
import unicodedata
from dataclasses import astuple, dataclass
from typing import NamedTuple

from .multiple_choice import MoralChoiceRecord, MultipleChoiceRecord
from .overton import OvertonRecord
from .records import Record
from .steerable import SteerableRecord
from .tasks import RecordFile
from .wording import bare_question

_SCENARIO = re.compile(r"^(?:Scenario|Situation):", re.MULTILINE)
"""Where the instruction ends and the scenario begins; what the instruction says makes no other situation."""


@dataclass(frozen=True)
class Shares:
    """How much of the situations goes where; the actual shares come close where there are many situations.

    Raises:
        ValueError: They are not three shares, 0 or more, that sum to 1.
    """

    train: float = 0.4
    dev: float = 0.2
    test: float = 0.4

    def __post_init__(self) -> None:
        shares = astuple(self)
        if not all(share >= 0 for share in shares) or not math.isclose(sum(shares), 1):
            raise ValueError(f"shares are {shares}; train, dev and test are 0 or more each, and sum to 1")


@dataclass(frozen=True)
class Split(RecordFile):
    """One of the three parts; it stands wherever a `RecordFile` does.

    `rows` and `records` are the part's, counted from 0, and `bad` is empty. `digest` is the SHA-256 of what the records
    ask and of their gold, hexadecimal: the same in whatever order, and with or without answers.

    Attributes:
        name: `train`, `dev` or `test`.
        seed: What it was drawn with.
        shares: What it was drawn with.
    """

    name: str
    seed: int
    shares: Shares


class Splits(NamedTuple):
    """The three parts of a task's records."""

    train: Split
    dev: Split
    test: Split


def split_records(records: RecordFile, *, seed: int = 0, shares: Shares | None = None) -> Splits:
    """Part the readable records of a task.

    Args:
        records: What to part.
        seed: Another one draws other situations.
        shares: 0.4, 0.2 and 0.4 where it is None.
    """
    shares = shares or Shares()
    members: dict[str, list[int]] = {name: [] for name in Splits._fields}
    for index, record in records.records.items():
        members[split_of(situation(record), seed, shares)].append(index)
    return Splits(*(_part(records, indices, name, seed, shares) for name, indices in members.items()))


def split_of(text: str, seed: int = 0, shares: Shares | None = None) -> str:
    """Say which split a situation belongs to: `train`, `dev` or `test`.

    Upper case, punctuation and spaces make no other situation.
    """
    content = f"{seed}\n{normalised(text)}".encode(errors="surrogatepass")
    position = int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64
    drawn = {name: share for name, share in zip(Splits._fields, astuple(shares or Shares()), strict=True) if share}
    edge = 0.0
    for name, share in drawn.items():
        edge += share
        if position < edge:
            return name
    return name  # where shares sum to a little less than 1


def situation(record: Record) -> str:
    """Return what a record is about, without the value, group or country that it asks for.

    Of a type that is not from here, it is the query that a program is asked.
    """
    match record:
        case OvertonRecord() | SteerableRecord():
            return record.situation
        case MoralChoiceRecord():
            question = bare_question(record.question, record.options)
            found = _SCENARIO.search(question)
            return question[found.end() :].strip() if found else question
        case MultipleChoiceRecord():
            return bare_question(record.question, record.options)
    return str(record.example().query)


def normalised(text: str) -> str:
    """Return what is left of a text without upper case, punctuation and spaces: what tells situations apart."""
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return re.sub(r"[\W_]+", " ", folded).strip() or folded.strip()


def _part(whole: RecordFile, indices: list[int], name: str, seed: int, shares: Shares) -> Split:
    records = {place: whole.records[index] for place, index in enumerate(indices)}
    rows = tuple(whole.rows[index] for index in indices)
    digest = _digest(list(records.values()))
    # What cannot be read is of no part known: each tells of all of it.
    return Split(whole.path, digest, whole.task, rows, records, whole.bad, name, seed, shares)


def _digest(records: list[Record]) -> str:
    lines = sorted(json.dumps(record.model_dump(), sort_keys=True) for record in records)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()
