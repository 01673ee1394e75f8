"""Scores: read from their own JSON and from the report of a compilation, refused where they contradict themselves."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from modplural.optimizers.metrics import Figure
from modplural.optimizers.versions import Scores, read_scores

MakeScores = Callable[..., Scores]


def report(**settings: Any) -> dict[str, Any]:
    """What the scores are read from in a compilation's report."""
    after = [Figure("value coverage", 0.6, 0.5, 0.7, 30, 12, "embeddings"), Figure("words", 120.0, 99.0, 140.0, 30, 12)]
    test = {"name": "test", "digest": "d" * 64, "records": 30, "after": {one.name: asdict(one) for one in after}}
    return {
        "task": "overton-vk",
        "primary": "value coverage",
        "higher_is_better": True,
        "scorer": "embeddings",
        "test": test,
        "settings": {"seed": 3, "limit": None, "data": None, **settings},
    }


def written(file: Path, data: object) -> Path:
    file.write_text(json.dumps(data), encoding="utf-8")
    return file


def test_they_come_back_as_they_were_written(scores: MakeScores, tmp_path: Path) -> None:
    told = scores(0.6, scorer="embeddings", others={"words": 120.0})
    assert read_scores(written(tmp_path / "scores.json", told.model_dump(mode="json"))) == told


def test_a_compilation_tells_what_it_scored_on_test_records(tmp_path: Path) -> None:
    found = read_scores(written(tmp_path / "report.json", report()))
    assert found == Scores(
        task="overton-vk",
        figure="value coverage",
        value=0.6,
        low=0.5,
        high=0.7,
        n=30,
        digest="d" * 64,
        source="sample",
        scorer="embeddings",
        others={"words": 120.0},
    )


def test_a_part_of_the_records_has_a_digest_of_its_own(tmp_path: Path) -> None:
    digests = {read_scores(written(tmp_path / "r.json", report(limit=limit))).digest for limit in (None, 30)}
    assert digests == {"d" * 64, "d" * 64 + ", 30 drawn by seed 3"}


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"low": 0.9}, "the interval begins at 0.9 and ends before that"),
        ({"high": None}, "low and high make an interval together"),
        ({"n": 0}, "n: Input should be greater than 0"),
        ({"digest": ""}, "digest: "),
        ({"value": None}, "value: "),
        ({"score": 1}, "score: Extra inputs are not permitted"),
        ({"rows": [{"record": "a", "group": "g", "score": 1.0}] * 2}, "two rows are of the same record"),
    ],
)
def test_contradictions_are_refused(
    changes: dict[str, object], problem: str, scores: MakeScores, tmp_path: Path
) -> None:
    file = written(tmp_path / "scores.json", {**scores(0.6).model_dump(mode="json"), **changes})
    with pytest.raises(ValueError, match=f"holds no scores of a version: .*{problem}"):
        read_scores(file)


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"primary": "x", "test": {}, "settings": {}}'])
def test_other_files_are_refused_as_such(text: str, tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text(text, encoding="utf-8")
    with pytest.raises(ValueError, match="holds no scores of a version"):
        read_scores(tmp_path / "scores.json")
