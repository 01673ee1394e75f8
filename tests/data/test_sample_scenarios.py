"""The samples of dilemmas and of the invented town: balanced, distinct, and marked as invented."""

import math
import re
from collections import Counter
from importlib.resources import as_file
from typing import Any

import pytest

from modplural.data import read_records, sample

COUNTS = {
    "distributional-moralchoice": 64,
    "distributional-globalopinionqa": 44,
    "steerable-opinionqa": 120,
}
"""The least number of records per task."""


def rows(task: str) -> list[Any]:
    with as_file(sample(task)) as path:
        found = read_records(path, task)
    assert found.bad == ()
    return list(found.rows)


@pytest.mark.parametrize("task", COUNTS)
def test_records_are_many_and_distinct(task: str) -> None:
    found = rows(task)
    assert len(found) >= COUNTS[task]
    assert len({row["id"] for row in found}) == len(found)
    assert len({(row["question"], row["attribute"]) for row in found}) == len(found)


@pytest.mark.parametrize("task", COUNTS)
def test_records_are_unanswered_and_their_gold_sums_to_one(task: str) -> None:
    for row in rows(task):
        assert row["pred_distribution"] is None
        assert math.isclose(sum(row["gold_distribution"]), 1, abs_tol=1e-9)
        assert len({option.casefold() for option in row["options"]}) == len(row["options"]) in range(2, 6)


@pytest.mark.parametrize("task", COUNTS)
def test_questions_list_their_options_in_order(task: str) -> None:
    with as_file(sample(task)) as path:
        examples = read_records(path, task).examples()
    assert not [example.id for example in examples if "Options:" in example.query or "\nA. " in example.query]


def test_half_of_the_dilemmas_are_clear_and_half_are_even() -> None:
    found = Counter((row["attribute"], *sorted(row["gold_distribution"])) for row in rows("distributional-moralchoice"))
    assert set(found) == {("low_ambiguity", 0, 1), ("high_ambiguity", 0.5, 0.5)}
    assert found["low_ambiguity", 0, 1] == found["high_ambiguity", 0.5, 0.5]


def test_neither_place_nor_length_gives_the_moral_action_away() -> None:
    clear = [row for row in rows("distributional-moralchoice") if row["attribute"] == "low_ambiguity"]
    first = [row["gold_distribution"][0] == 1 for row in clear]
    longer = [len(row["options"][row["gold_distribution"].index(1)]) == max(map(len, row["options"])) for row in clear]
    assert 0.35 <= sum(first) / len(clear) <= 0.65
    assert 0.35 <= sum(longer) / len(clear) <= 0.65


def test_reasons_are_given_for_the_moral_action_as_often_as_for_the_other() -> None:
    clear = [row for row in rows("distributional-moralchoice") if row["attribute"] == "low_ambiguity"]
    options = [pair for row in clear for pair in zip(row["gold_distribution"], row["options"], strict=True)]
    reasons = Counter(gold for gold, option in options if re.search(r"\b(because|since)\b|, as ", option))
    assert min(reasons[0], reasons[1]) >= 3
    assert abs(reasons[0] - reasons[1]) <= 2


@pytest.mark.parametrize("task", ["distributional-globalopinionqa", "steerable-opinionqa"])
def test_the_town_is_marked_as_invented(task: str) -> None:
    for row in rows(task):
        assert "Larkmouth (an invented town)" in row["attribute"]
        assert "Invented for this sample" in row["note"]


def test_each_question_is_asked_of_three_groups_that_differ_from_the_town_and_from_each_other() -> None:
    town = {row["question"]: row for row in rows("distributional-globalopinionqa")}
    groups = rows("steerable-opinionqa")
    assert Counter(row["question"] for row in groups) == dict.fromkeys(town, 3)
    assert all(row["options"] == town[row["question"]]["options"] for row in groups)
    shares = {(row["question"], *row["gold_distribution"]) for row in [*town.values(), *groups]}
    assert len(shares) == len(town) + len(groups)
    assert 6 <= len({row["attribute"] for row in groups}) <= 8
