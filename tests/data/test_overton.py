"""Value Kaleidoscope situations with all their values."""

from typing import Any

import pytest

from modplural.data.overton import OvertonRecord

ROW: dict[str, Any] = {
    "id": 3,
    "situation": "Whistling in a library",
    "vrd": ["Joy", "Respect for others"],
    "explanation": ["Whistling is a small delight.", "People came to the library for quiet."],
    "input": "What speaks for and against whistling in a library?",
    "output": None,
}


def test_the_input_is_asked_and_values_and_explanations_are_gold() -> None:
    example = OvertonRecord.read(ROW).example()
    assert example.inputs().toDict() == {"query": ROW["input"]}
    assert dict(zip(example.vrd, example.explanation, strict=True))["Joy"] == "Whistling is a small delight."
    assert (example.id, example.situation) == (3, "Whistling in a library")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"vrd": "Joy"}, "key vrd: Input should be a valid list"),
        ({"vrd": [], "explanation": []}, "key vrd: List should have at least 1 item"),
        ({"vrd": ["Joy", " "]}, r"key vrd\.1: String should have at least 1 character"),
        ({"explanation": ["One."]}, "2 values in 'vrd' but 1 texts in 'explanation'"),
        ({"input": None}, "key input: Input should be a valid string"),
    ],
)
def test_what_is_wrong_is_named(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        OvertonRecord.read({**ROW, **change})


def test_the_response_is_the_output() -> None:
    assert OvertonRecord.read(ROW).answer("It is joyful, and loud.") == "It is joyful, and loud."


@pytest.mark.parametrize("value", [None, "", "  \n", ["a list"]])
def test_an_empty_response_is_no_answer(value: Any) -> None:
    with pytest.raises(ValueError, match="where a text is needed"):
        OvertonRecord.read(ROW).answer(value)
