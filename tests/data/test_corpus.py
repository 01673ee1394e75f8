"""Corpora: what is read, what is refused and by which line, how one is parted; and those that come along."""

import json
import re
from itertools import combinations
from pathlib import Path

import pytest

from modplural.data.corpus import CorpusError, read_corpus

COMMUNITIES = Path(__file__).parents[2] / "data" / "communities"
NAMES = ("care", "fairness", "liberty", "loyalty", "authority", "sanctity")


def written(path: Path, *rows: object) -> Path:
    path.write_text("\n".join(json.dumps(row) for row in rows), encoding="utf-8")
    return path


def comment(number: int) -> dict[str, str]:
    return {"query": f"Query {number}", "message": f"Message {number}"}


def test_comments_are_read_in_order_and_other_keys_ignored(tmp_path: Path) -> None:
    corpus = read_corpus(written(tmp_path / "a.jsonl", comment(2), {**comment(1), "source": "me"}))
    assert [c.query for c in corpus.comments] == ["Query 2", "Query 1"]


def test_the_parts_of_a_split_share_no_query_and_follow_the_seed(tmp_path: Path) -> None:
    rows = [{**comment(number // 2), "message": f"Message {number}"} for number in range(40)]
    corpus = read_corpus(written(tmp_path / "a.jsonl", *rows))
    rest, held_out = corpus.split(0.1, seed=3)
    assert (len(rest.queries), len(held_out.queries)) == (18, 2)
    assert not set(rest.queries) & set(held_out.queries)
    assert sorted([*rest.comments, *held_out.comments], key=str) == sorted(corpus.comments, key=str)
    assert corpus.split(0.1, seed=3) == (rest, held_out)
    assert corpus.split(0.1, seed=4) != (rest, held_out)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"a.jsonl: the corpus is empty"),
        (b'{"query": "a", "message": "b"}\n{"query": "a"}', r"a.jsonl:2: message: Field required"),
        (b'{"query": "a", "message": " "}', r"a.jsonl:1: message: String should have at least 1 character"),
        (b'{"query": "a", "message": "b"}\n{"query": "\xff"}', r"a.jsonl:2: not UTF-8 \(byte 12 of the line\)"),
        (b"query,message", r"a.jsonl:1: no JSON"),
        (b"[1]", r"a.jsonl:1: a list, where"),
        (b'{"query": "a", "message": "b"}\n' + b"[" * 100_000, r"a.jsonl:2: nested too deeply; give "),
        (b'{"query": "a", "message": "b", "more": ' + b'{"a":' * 50_000, r"a.jsonl:1: nested too deeply"),
        (b'{"query": "a", "message": "b"}\n' * 2, r"a.jsonl:2: repeats line 1"),
        (b'{"query": "a", "message": "b"}\n{"query": "c", "message": "b"}', r"1-2: every line has the same message"),
        (b'{"query": "a", "message": "b"}\n{"query": "a", "message": "c"}', r"1-2: every line has the same query"),
    ],
)
def test_bad_corpora_are_refused_by_line(content: bytes, said: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    with pytest.raises(CorpusError, match=said):
        read_corpus(path)


def test_a_missing_corpus_is_named() -> None:
    with pytest.raises(CorpusError, match=r"nowhere.jsonl: no such file"):
        read_corpus("nowhere.jsonl")


@pytest.mark.parametrize("part", ["train", "held_out"])
def test_all_communities_comment_on_the_same_situations(part: str) -> None:
    queries = {read_corpus(COMMUNITIES / name / f"{part}.jsonl").queries for name in NAMES}
    assert len(queries) == 1
    assert len(queries.pop()) == {"train": 95, "held_out": 25}[part]


def test_no_held_out_situation_is_trained_on() -> None:
    train, held_out = (
        {re.sub(r"\W+", " ", query).lower() for query in read_corpus(COMMUNITIES / "care" / f"{part}.jsonl").queries}
        for part in ("train", "held_out")
    )
    assert not train & held_out


def test_comments_are_of_one_length_and_differ() -> None:
    messages = [
        comment.message
        for name in NAMES
        for part in ("train", "held_out")
        for comment in read_corpus(COMMUNITIES / name / f"{part}.jsonl").comments
    ]
    assert len(messages) == 720
    assert all(35 <= len(message.split()) <= 70 for message in messages)
    fourgrams = [grams(message) for message in messages]
    assert max(len(a & b) / min(len(a), len(b)) for a, b in combinations(fourgrams, 2)) <= 0.3


def grams(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"[\w'-]+", text.lower())
    return set(zip(*(words[start:] for start in range(4)), strict=False))
