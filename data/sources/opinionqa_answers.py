"""How the groups of one wave of OpinionQA answered, from either form of the release.

Where `responses.csv` is there, every respondent counts with the survey's weight, as the authors count, and
`metadata.csv` lists the groups. Else the counts in `*_data.json`, one file per kind of group, are taken as they are.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from ..multiple_choice import GROUP_KINDS
from .table import literal, read_csv

_COUNTS = TypeAdapter(dict[str, dict[str, dict[str, float] | list[str] | str]])
"""A file of counts: per question its text, its options (cut apart), and per group the number of people by option."""

_NO_GROUP = "Refused"


@dataclass(frozen=True)
class Question:
    """A question of a survey: its text, and its options without refusals."""

    text: str
    options: tuple[str, ...]


@dataclass(frozen=True)
class Answers:
    """How one group answered one question.

    Attributes:
        key: The question's.
        group: Its code, such as `POLPARTY_Republican`.
        weights: How many people chose each option, in the question's order, weighted or not; the sum is above 0.
    """

    key: str
    group: str
    weights: tuple[float, ...]


def answers(wave: Path, questions: Mapping[str, Question]) -> Iterator[Answers]:
    """Yield how every group of a wave answered its questions; a group in which nobody did is left out.

    Raises:
        ValueError: The folder has neither form of answers, or they are not laid out as published.
        OSError: A file cannot be read.
    """
    counts = sorted(path for kind in GROUP_KINDS for path in wave.glob(f"{kind}_data.json"))
    if (wave / "responses.csv").is_file():
        found = _weighted(wave, questions)
    elif counts:
        found = _counted(counts, questions)
    else:
        raise ValueError(f"{wave} has no answers: neither responses.csv nor a file such as POLPARTY_data.json")
    return (answer for answer in found if sum(answer.weights) > 0)


def _counted(paths: Sequence[Path], questions: Mapping[str, Question]) -> Iterator[Answers]:
    for path in paths:
        kind = path.name.removesuffix("_data.json")
        for key, entry in _read_counts(path).items():
            for group, counts in entry.items():
                if key in questions and isinstance(counts, dict) and group != _NO_GROUP:
                    by_option = {option.strip(): count for option, count in counts.items()}
                    weights = tuple(by_option.get(option, 0.0) for option in questions[key].options)
                    yield Answers(key, f"{kind}_{group}", weights)


def _read_counts(path: Path) -> dict[str, dict[str, dict[str, float] | list[str] | str]]:
    try:
        return _COUNTS.validate_json(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path} holds no counts of answers by question and group: {error}") from error


def _weighted(wave: Path, questions: Mapping[str, Question]) -> Iterator[Answers]:
    weight = f"WEIGHT_{wave.name.rpartition('_')[2]}"
    groups = _groups(wave / "metadata.csv")
    columns: dict[str, list[str]] = {column: [] for column in (*questions, *groups, weight)}
    for row in read_csv([wave / "responses.csv"], tuple(columns)):
        for column, cells in columns.items():
            cells.append(row[column].strip())
    weights = _numbers(columns[weight], wave / "responses.csv", weight)
    codes = {kind: _codes(columns[kind], names) for kind, names in groups.items()}
    for key, question in questions.items():
        chosen = _codes(columns[key], question.options)
        for kind, names in groups.items():
            shape = (len(names) + 1, len(question.options) + 1)
            pairs = np.ravel_multi_index((codes[kind], chosen), shape)
            sums = np.bincount(pairs, weights, minlength=shape[0] * shape[1]).reshape(shape)[:-1, :-1]
            yield from (
                Answers(key, f"{kind}_{name}", tuple(row)) for name, row in zip(names, sums.tolist(), strict=True)
            )


def _groups(path: Path) -> dict[str, tuple[str, ...]]:
    """The names of the groups by kind."""
    listed = {row["key"]: literal(row["options"]) for row in read_csv([path], ("key", "options"))}
    return {kind: tuple(map(str, listed[kind])) for kind in GROUP_KINDS if isinstance(listed.get(kind), list)}


def _codes(cells: Sequence[str], names: Sequence[str]) -> NDArray[Any]:
    """The place of each cell among the names; those that are none of them get the place after the last."""
    places = {name: place for place, name in enumerate(names)}
    return np.array([places.get(cell, len(names)) for cell in cells], dtype=np.intp)


def _numbers(cells: Sequence[str], path: Path, column: str) -> NDArray[Any]:
    try:
        return np.array([float(cell) for cell in cells])
    except ValueError as error:
        raise ValueError(f"{path}, column {column}: {error}") from error
