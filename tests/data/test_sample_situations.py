"""The sample's situations and values: well-formed, balanced, varied, and other ones than communities are trained on."""

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib.resources import as_file
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from modplural.data import read_records, sample
from modplural.data.corpus import read_corpus
from modplural.data.steerable import SteerableRecord

COMMUNITIES = Path(__file__).parents[2] / "data" / "communities"
SITUATIONS: list[dict[str, Any]] = json.loads(sample("overton-vk").read_bytes())
VALUES: list[dict[str, Any]] = json.loads(sample("steerable-vk").read_bytes())
EXPLANATIONS = [text for row in SITUATIONS for text in row["explanation"]]
LETTERS = {"Supports": "A", "Opposes": "B", "Either": "C"}


def words(text: str) -> list[str]:
    return re.findall(r"[\w'-]+", text.lower())


def grams(text: str, length: int) -> set[tuple[str, ...]]:
    found = words(text)
    return set(zip(*(found[start:] for start in range(length)), strict=False))


def shared(some: set[tuple[str, ...]], others: set[tuple[str, ...]]) -> float:
    return len(some & others) / max(1, min(len(some), len(others)))


def most_shared(texts: Iterable[str], length: int) -> float:
    return max(shared(some, others) for some, others in combinations([grams(text, length) for text in texts], 2))


def corpora(*parts: str) -> Iterator[tuple[str, str]]:
    for path in sorted(COMMUNITIES.glob("*/*.jsonl")):
        if path.stem in parts:
            yield from ((comment.query, comment.message) for comment in read_corpus(path).comments)


@pytest.mark.parametrize("task", ["overton-vk", "steerable-vk"])
def test_every_record_is_readable(task: str) -> None:
    with as_file(sample(task)) as path:
        found = read_records(path, task)
    assert found.bad == ()
    assert all(row["output"] is None for row in found.rows)


def test_stances_are_written_back_with_answers() -> None:
    with as_file(sample("overton-vk")) as path:
        filled = read_records(path, "overton-vk").filled({0: "An answer."})
    assert filled[0] == {**SITUATIONS[0], "output": "An answer."}


def test_there_are_enough_situations_and_each_is_there_once() -> None:
    assert len(SITUATIONS) >= 64
    assert [row["id"] for row in SITUATIONS] == list(range(1, len(SITUATIONS) + 1))
    assert len({" ".join(words(row["situation"])) for row in SITUATIONS}) == len(SITUATIONS)
    assert most_shared((row["situation"] for row in SITUATIONS), 3) <= 0.6


@pytest.mark.parametrize("row", SITUATIONS, ids=lambda row: str(row["id"]))
def test_a_situation_has_several_values_each_with_explanation_and_stance(row: dict[str, Any]) -> None:
    assert 4 <= len(row["vrd"]) <= 8
    assert len(row["vrd"]) == len(row["explanation"]) == len(row["stance"])
    assert len({value.lower() for value in row["vrd"]}) == len(row["vrd"])
    assert {"Supports", "Opposes"} <= set(row["stance"]) <= LETTERS.keys()
    assert 5 <= len(row["situation"].split()) <= 20
    assert all(15 <= len(text.split()) <= 35 for text in row["explanation"])
    assert row["situation"] in row["input"]


def test_stances_are_balanced() -> None:
    count = Counter(stance for row in SITUATIONS for stance in row["stance"])
    assert min(count["Supports"], count["Opposes"]) / count.total() >= 0.3
    assert count["Either"] / count.total() >= 0.12


def test_explanations_differ() -> None:
    assert most_shared(EXPLANATIONS, 4) <= 0.3


def test_explanations_are_worded_otherwise_than_the_corpora() -> None:
    messages = [grams(message, 4) for _, message in corpora("train", "held_out")]
    explanations = [grams(text, 4) for text in EXPLANATIONS]
    assert max(shared(text, message) for text in explanations for message in messages) <= 0.3


def test_situations_are_other_ones_than_the_corpora_have() -> None:
    queries = {query for query, _ in corpora("train", "held_out")}
    assert len(queries) == 120
    for row in SITUATIONS:
        found = {query: shared(grams(row["situation"], 3), grams(query, 3)) for query in queries}
        assert words(row["situation"]) not in [words(query) for query in queries]
        assert max(found.values()) <= 0.3, max(found, key=found.__getitem__)


def test_values_are_those_of_the_situations_in_their_order() -> None:
    expected = [
        (f"{row['id']}-{number}", row["situation"], value, stance, LETTERS[stance])
        for row in SITUATIONS
        for number, (value, stance) in enumerate(zip(row["vrd"], row["stance"], strict=True), start=1)
    ]
    keys = ("id", "situation", "vrd", "label_text", "label")
    assert [tuple(row[key] for key in keys) for row in VALUES] == expected


def test_what_is_asked_about_a_value_names_the_situation_and_leaves_the_options_out() -> None:
    for row in VALUES:
        query = SteerableRecord.read(row).example().query
        assert query.endswith(f"Situation: {row['situation']}\n\nValue: {row['vrd']}")
