"""The six tasks, and which of them a file's records belong to."""

import os
from importlib.resources import as_file
from pathlib import Path
from typing import Any

import pytest

from modplural.data import SAMPLES, TASKS, RecordFileError, Task, encode_rows, read_records, sample
from modplural.data.multiple_choice import CountryRecord

SURVEY: dict[str, Any] = {
    "id": 1,
    "question": "Tea?",
    "options": ["Yes", "No"],
    "attribute": "Atlantis",
    "gold_distribution": [1, 0],
}

PUBLISHED = {
    "overton_valuekaleidoscope.json": ("overton-vk", 311, ()),
    "steerable_valuekaleidoscope.json": ("steerable-vk", 2216, ()),
    # Options cut apart where an option held a comma and an s, so that some occur twice: not a question one can ask.
    "steerable_opinionqa.json": ("steerable-opinionqa", 2239, (15, 391, 632, 696, 1243, 1390, 1659, 1789, 1882)),
    "distributional_moralchoice.json": ("distributional-moralchoice", 651, ()),
    "distributional_globalopinionqa.json": ("distributional-globalopinionqa", 2796, ()),
}
"""Task, number of rows and indices of bad records, per published file."""


def write(folder: Path, rows: list[Any]) -> Path:
    path = folder / "overton.json"  # a name that says nothing, and here even something wrong
    path.write_bytes(encode_rows(rows))
    return path


def test_the_table_names_modes_and_what_is_filled() -> None:
    assert {
        name: (task.mode, task.record.prediction_field, task.record.record_key) for name, task in TASKS.items()
    } == {
        "overton-vk": ("overton", "response", "output"),
        "overton-judge": ("overton", "response", "output"),
        "steerable-vk": ("steerable", "option", "output"),
        "steerable-opinionqa": ("steerable", "probabilities", "pred_distribution"),
        "distributional-moralchoice": ("distributional", "probabilities", "pred_distribution"),
        "distributional-globalopinionqa": ("distributional", "probabilities", "pred_distribution"),
    }


@pytest.mark.parametrize(
    ("attribute", "task"),
    [
        ("RELIG_Hindu", "steerable-opinionqa"),
        ("high_ambiguity", "distributional-moralchoice"),
        ("Atlantis", "distributional-globalopinionqa"),
        ("HOBBY_Chess", "distributional-globalopinionqa"),
    ],
)
def test_questions_are_told_apart_by_their_attribute(tmp_path: Path, attribute: str, task: str) -> None:
    path = write(tmp_path, [{**SURVEY, "attribute": attribute}, "nonsense"])
    assert read_records(path).task.name == task


def test_a_mixed_file_is_refused_until_the_task_is_named(tmp_path: Path) -> None:
    path = write(tmp_path, [SURVEY, {**SURVEY, "attribute": "RELIG_Hindu"}])
    with pytest.raises(
        RecordFileError, match=r"record 0 looks like distributional-globalopinionqa, record 1 .*opinionqa"
    ):
        read_records(path)
    assert len(read_records(path, "steerable-opinionqa").records) == 2


@pytest.mark.parametrize(
    ("usual", "odd", "task", "bad"),
    [
        ("low_ambiguity", "low ambiguity", "distributional-moralchoice", [0]),
        ("SEX_Male", "Overall", "steerable-opinionqa", []),  # a group that has no code is asked for by its name
        ("Atlantis", "SEX_Male", "distributional-globalopinionqa", []),
    ],
)
@pytest.mark.parametrize("limit", [None, 1])
def test_an_odd_record_does_not_change_the_task_of_the_others(
    tmp_path: Path, usual: str, odd: str, task: str, bad: list[int], limit: int | None
) -> None:
    path = write(tmp_path, [{**SURVEY, "attribute": attribute} for attribute in (odd, usual, usual)])
    found = read_records(path, limit=limit)
    assert found.task.name == task
    assert [record.index for record in found.bad] == bad
    assert len(found.records) + len(bad) == len(found.rows) == (limit or 3)
    if bad:
        assert "attribute: Input should be 'low_ambiguity' or 'high_ambiguity'" in found.bad[0].reason


def test_a_task_of_ones_own_reads_its_records(tmp_path: Path) -> None:
    class Note(CountryRecord):
        pass

    found = read_records(write(tmp_path, [SURVEY]), Task("notes", "distributional", Note))
    assert (found.task.name, type(found.records[0])) == ("notes", Note)


def test_an_unknown_task_is_refused_with_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(
        ValueError, match="unknown task 'overton'; the tasks are overton-vk, overton-judge, steerable-vk"
    ):
        read_records(write(tmp_path, [SURVEY]), "overton")


@pytest.mark.parametrize("task", SAMPLES)
def test_each_sample_is_readable_as_its_task(task: str) -> None:
    with as_file(sample(task)) as path:
        found = read_records(path, task)
    assert len(found.records) >= 4
    assert found.bad == ()


@pytest.mark.parametrize("task", sorted(SAMPLES.keys() - {"overton-judge", "steerable-opinionqa"}))
def test_each_sample_shows_its_task_unless_another_reads_it_first(task: str) -> None:
    with as_file(sample(task)) as path:
        assert read_records(path).task.name == task


def test_a_task_without_a_sample_is_refused() -> None:
    with pytest.raises(ValueError, match="no sample for task 'steerable-chess'; there are samples for overton-vk"):
        sample("steerable-chess")


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_files_are_read_whole(name: str) -> None:
    if "MODPLURAL_BENCHMARKS" not in os.environ:
        pytest.skip("needs the published benchmark files: set MODPLURAL_BENCHMARKS to their folder")
    task, rows, bad = PUBLISHED[name]
    found = read_records(Path(os.environ["MODPLURAL_BENCHMARKS"], name))
    assert (found.task.name, len(found.rows)) == (task, rows)
    assert tuple(record.index for record in found.bad) == bad
    examples = found.examples()
    assert len(examples) == rows - len(bad)
    assert not [example.id for example in examples if "Answer:" in example.query or "\nA. " in example.query]
    assert found.filled({}) == list(found.rows)  # they come with every answer null
