"""Scores: read from JSON of their own, from compilations and evaluations, refused where they contradict themselves."""

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from modplural import load
from modplural.optimizers.evaluation.work import program_digest
from modplural.optimizers.metrics import Figure
from modplural.optimizers.versions import RowScore, Scores, read_scores

MakeScores = Callable[..., Scores]
Save = Callable[..., Path]


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


def test_rows_of_a_compilation_are_those_of_what_it_returned(tmp_path: Path) -> None:
    told = report()
    told["test"]["rows"] = [
        {"record": "a", "group": "1", "before": 0.1, "after": 0.7},
        {"record": "b", "group": "1", "before": None, "after": None},
    ]
    assert read_scores(written(tmp_path / "r.json", told)).rows == (RowScore(record="a", group="1", score=0.7),)


def test_a_report_is_of_the_program_that_it_returned(tmp_path: Path, save: Save) -> None:
    returned, other = save("returned", "Say all of it."), save("other", "Say nothing.")
    file = written(tmp_path / "report.json", report(**{"program after": program_digest(load(returned))}))
    assert read_scores(file, returned).value == 0.6
    with pytest.raises(ValueError, match=r"report\.json is of another program than the one in .*other"):
        read_scores(file, other)


def evaluation(programs: dict[str, str], tasks: tuple[str, ...] = ("overton-vk",), seed: int = 0) -> dict[str, Any]:
    """What the scores are read from in an evaluation of programs with such digests, by method."""
    described = {"split": "test", "digest": "d" * 64, "data": "sample.json", "primary": "value coverage"}
    value = asdict(Figure("value coverage", 0.6, 0.5, 0.7, 2, 2, "embeddings"))
    words = asdict(Figure("words", 120.0, 99.0, 140.0, 2, 2))
    return {
        "tasks": [{"name": task, "scorer": "embeddings", "higher_is_better": True, **described} for task in tasks],
        "figures": [
            {"task": task, "method": method, "program": digest, "figures": {"value coverage": value, "words": words}}
            for task in tasks
            for method, digest in programs.items()
        ],
        "rows": [
            {"task": task, "method": method, "record": record, "group": "g", "score": score}
            for task in tasks
            for method in programs
            for record, score in (("a", 0.5 if method == "program" else 0.1), ("b", None))
        ],
        "settings": {"seed": seed},
    }


def test_an_evaluation_tells_what_the_program_scored(save: Save, tmp_path: Path) -> None:
    folder = save()
    told = evaluation({"prompted": "0" * 64, "program": program_digest(load(folder))})
    found = read_scores(written(tmp_path / "evaluation.json", told), folder)
    assert found == Scores(
        task="overton-vk",
        figure="value coverage",
        value=0.6,
        low=0.5,
        high=0.7,
        n=2,
        digest="d" * 64,
        source="sample.json",
        scorer="embeddings",
        others={"words": 120.0},
        rows=(RowScore(record="a", group="g", score=0.5),),
    )


def test_a_program_that_drew_by_a_seed_is_found_as_well(save: Save, tmp_path: Path) -> None:
    folder = save()
    drawing = load(folder)
    for lm in [drawing.base, *(community.lm for community in drawing.pool)]:  # type: ignore[attr-defined]
        lm.kwargs["seed"] = 5
    told = evaluation({"program": program_digest(drawing)}, seed=5)
    assert read_scores(written(tmp_path / "evaluation.json", told), folder).value == 0.6


def test_nobody_gets_the_scores_of_another_program(save: Save, tmp_path: Path) -> None:
    folder, other = save(), save("other", "Say it otherwise.")
    digest = program_digest(load(folder))
    file = written(tmp_path / "evaluation.json", evaluation({"program": digest}, ("overton-vk", "overton-judge")))
    for program, task, problem in (
        (
            other,
            None,
            "has no figures of the program in .*other; it has program on overton-vk, program on overton-judge",
        ),
        (folder, "steerable-vk", "has no figures of the program in .* on steerable-vk"),
        (folder, None, "has figures of overton-vk, overton-judge; say which one counts with --task"),
        (None, None, "is an evaluation, of several methods; say which saved program is meant"),
    ):
        with pytest.raises(ValueError, match=problem):
            read_scores(file, program, task)
    assert read_scores(file, folder, "overton-judge").task == "overton-judge"


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
