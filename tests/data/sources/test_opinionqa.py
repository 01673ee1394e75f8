"""OpinionQA: questions in one file, answers by respondent or counted by group, in a folder per wave."""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from modplural.data.sources import SourceError, load_task

WriteCSV = Callable[[str, Sequence[Mapping[str, str]]], Path]

TASK = "steerable-opinionqa"
WAVE = "human_resp/American_Trends_Panel_W99"
OPTIONS = ["Yes, a lot", "No", "Refused"]
INFO = [{"key": "TEA_W99", "question": "Do you drink tea?", "references": str(OPTIONS), "option_ordinal": "[1.0, 2.0]"}]
GROUPS = [
    {"key": "POLPARTY", "options": "['Republican', 'Democrat']"},
    {"key": "HOBBY", "options": "['Chess']"},
    {"key": "SEX", "options": "['Male', 'Female']"},
]


def person(answer: str, party: str, sex: str, weight: str = "1.0") -> dict[str, str]:
    return {"QKEY": "1", "WEIGHT_W99": weight, "TEA_W99": answer, "POLPARTY": party, "SEX": sex}


PEOPLE = [
    person("Yes, a lot", "Republican", "Male", "3.0"),
    person("No", "Republican", "Female", "0.5"),
    person("No", "Republican", "Male", "0.5"),
    person("Refused", "Democrat", "Male", "9.0"),
    person("", "Democrat", "Male"),
    person("No", "Refused", "Female"),
]


def write_release(write: WriteCSV, people: Sequence[Mapping[str, str]] = PEOPLE) -> Path:
    write(f"{WAVE}/info.csv", INFO)
    write(f"{WAVE}/metadata.csv", GROUPS)
    return write(f"{WAVE}/responses.csv", people)


def write_counts(write: WriteCSV, counts: Any, name: str = "POLPARTY_data.json") -> Path:
    place = write(f"{WAVE}/info.csv", INFO)
    (place / WAVE / name).write_text(json.dumps(counts))
    return place


def shares(place: Path) -> dict[str, list[float]]:
    return {row["attribute"]: row["gold_distribution"] for row in load_task(TASK, place).rows}


def test_respondents_count_by_weight_and_silent_groups_are_left_out(write_csv: WriteCSV) -> None:
    assert shares(write_release(write_csv)) == {
        "POLPARTY_Republican": [0.75, 0.25],
        "SEX_Male": [3 / 3.5, 0.5 / 3.5],
        "SEX_Female": [0, 1],
    }


def test_options_keep_their_commas_and_refusals_are_none(write_csv: WriteCSV) -> None:
    (row, *_) = load_task(TASK, write_release(write_csv)).rows
    assert row["question"] == "Question: Do you drink tea?\nOptions: A. Yes, a lot B. No\nAnswer:"
    assert row["options"] == ["Yes, a lot", "No"]
    assert row["id"] == f"TEA_W99/{row['attribute']}"


def test_counts_are_taken_where_respondents_are_not_released(write_csv: WriteCSV) -> None:
    entry = {
        "MC_options": ["Yes", "a lot", "No", "Refused"],
        "question_text": "Do you drink tea?",
        "Republican": {"Yes, a lot": 3.0, "No": 1.0, "Refused": 6.0},
        "Democrat": {"Refused": 2.0},
        "Refused": {"No": 1.0},
    }
    place = write_counts(write_csv, {"TEA_W99": entry, "GONE_W99": entry})
    write_counts(write_csv, {"TEA_W99": entry}, "POLPARTY_RACE_data.json")  # two kinds at once are no group here
    assert shares(place) == {"POLPARTY_Republican": [0.75, 0.25]}


@pytest.mark.parametrize("depth", [".", "human_resp", WAVE])
def test_the_folder_may_be_given_at_any_height(depth: str, write_csv: WriteCSV) -> None:
    assert len(shares(write_release(write_csv) / depth)) == 3


def test_what_is_missing_is_named(write_csv: WriteCSV, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"opinionqa is on no hub; download it from .*codalab"):
        load_task(TASK, "opinionqa")
    with pytest.raises(SourceError, match=r"opinionqa: .* holds no folder American_Trends_Panel_W\*"):
        load_task(TASK, tmp_path)
    place = write_csv(f"{WAVE}/info.csv", INFO)
    with pytest.raises(SourceError, match=r"W99 has no answers: neither responses.csv nor"):
        load_task(TASK, place)
    write_csv(f"{WAVE}/responses.csv", PEOPLE)
    with pytest.raises(SourceError, match=r"metadata\.csv.*download it from"):
        load_task(TASK, place)


def test_files_that_are_laid_out_otherwise_are_named(write_csv: WriteCSV) -> None:
    with pytest.raises(SourceError, match="column WEIGHT_W99: could not convert string to float: 'heavy'"):
        load_task(TASK, write_release(write_csv, [person("No", "Republican", "Male", "heavy")]))
    with pytest.raises(SourceError, match="lacks the columns TEA_W99"):
        load_task(TASK, write_release(write_csv, [{"WEIGHT_W99": "1", "POLPARTY": "Democrat", "SEX": "Male"}]))


def test_counts_of_another_shape_are_refused(write_csv: WriteCSV) -> None:
    with pytest.raises(SourceError, match=r"POLPARTY_data\.json holds no counts of answers"):
        load_task(TASK, write_counts(write_csv, {"TEA_W99": [1, 2]}))
