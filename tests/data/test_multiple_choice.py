"""Questions with options and a gold distribution."""

import math
from typing import Any

import pytest

from modplural.data.multiple_choice import CountryRecord, MoralChoiceRecord, MultipleChoiceRecord, OpinionRecord

ROW: dict[str, Any] = {
    "id": "q-1",
    "question": "Question: Tea, milk or water?\nOptions: A. Tea B. Milk C. Water\nAnswer:",
    "options": ["Tea", "Milk", "Water"],
    "attribute": "Atlantis",
    "gold_distribution": [0.5, 0.5, 0],
    "pred_distribution": None,
}


@pytest.mark.parametrize(
    ("record", "attribute", "asked"),
    [
        (OpinionRecord, "POLPARTY_Republican", "Republican (political party)"),
        (OpinionRecord, "RELIGATTEND_Once a week", "Once a week (attendance at religious services)"),
        (OpinionRecord, "gardeners", "gardeners"),
        (MoralChoiceRecord, "low_ambiguity", None),
        (CountryRecord, "Atlantis (islands only)", "Atlantis (islands only)"),
    ],
)
def test_the_attribute_is_asked_in_words_unless_it_gives_the_gold_away(
    record: type[MultipleChoiceRecord], attribute: str, asked: str | None
) -> None:
    example = record.read({**ROW, "attribute": attribute}).example()
    assert example.inputs().get("attribute", None) == asked
    assert example.inputs().query == "Tea, milk or water?"
    assert example.group == attribute


def test_gold_is_by_option_and_rounded_shares_are_scaled_to_one() -> None:
    gold = CountryRecord.read({**ROW, "gold_distribution": [0.49, 0.5, 0]}).example().gold_distribution
    assert list(gold) == ["Tea", "Milk", "Water"]
    assert math.isclose(sum(gold.values()), 1)
    assert math.isclose(gold["Tea"], 0.49 / 0.99)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"options": "Tea, milk or water"}, "key options: Input should be a valid list"),
        ({"options": []}, "key options: List should have at least 1 item"),
        ({"options": ["Tea", "Tea ", "Water"]}, r"'options' are not distinct: \['Tea'\]"),
        ({"options": ["Tea", 3, "Water"]}, r"key options\.1: Input should be a valid string"),
        ({"gold_distribution": [0.5, 0.5]}, "3 texts in 'options' but 2 in 'gold_distribution'"),
        ({"gold_distribution": [0.5, 0.2, 0.1]}, "'gold_distribution' sums to 0.8, not to 1"),
        (
            {"gold_distribution": [1.5, -0.5, 0]},
            r"key gold_distribution\.1: Input should be greater than or equal to 0",
        ),
        ({"gold_distribution": [math.nan, 1, 0]}, r"key gold_distribution\.0: Input should be a finite number"),
        ({"gold_distribution": [True, 0, 0]}, r"key gold_distribution\.0: Input should be a valid number"),
        ({"gold_distribution": None}, "key gold_distribution"),
        ({"attribute": None}, "key attribute"),
        ({"question": "Question:\nOptions: A. Tea B. Milk C. Water\nAnswer:"}, "its options and no question"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        CountryRecord.read({**ROW, **change})


def test_probabilities_are_written_in_the_order_of_the_options() -> None:
    assert CountryRecord.read(ROW).answer({"Water": 0.7, "Tea": 0.1, "Milk": 0.2}) == [0.1, 0.2, 0.7]


@pytest.mark.parametrize(
    "value",
    [
        None,
        [0.1, 0.2, 0.7],
        {"Tea": 0.5, "Milk": 0.5},
        {"Tea": 0.5, "Milk": 0.5, "Water": math.nan},
        {"Tea": 1.5, "Milk": -0.5, "Water": 0.0},
        {"Tea": 0.2, "Milk": 0.2, "Water": 0.2},
    ],
)
def test_what_is_no_distribution_over_the_options_is_no_answer(value: Any) -> None:
    with pytest.raises(ValueError, match="the probabilities"):
        CountryRecord.read(ROW).answer(value)


def test_one_option_settles_a_record() -> None:
    alone = {**ROW, "options": ["Tea"], "gold_distribution": [1]}
    assert CountryRecord.read(alone).settled() == [1.0]
    assert CountryRecord.read(ROW).settled() is None
