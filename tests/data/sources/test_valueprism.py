"""ValuePrism: a row per situation and value, gathered by situation for the Overton tasks."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modplural.data.sources import load_task

WriteCSV = Callable[[str, Sequence[Mapping[str, str]]], Path]


def row(situation: str, value: str, valence: str, explanation: str = "Because.") -> dict[str, str]:
    return {"situation": situation, "vrd": "Value", "text": value, "valence": valence, "explanation": explanation}


ROWS = [
    row("Baking {bread}", "Care", "Supports", "Bread feeds."),
    row("Selling it", "Fairness", "Either"),
    row("Baking {bread}", "Thrift", "Opposes", "Flour costs."),
    row("Baking {bread}", "Care", "Opposes", "Said twice."),
]


def test_the_values_of_a_situation_stand_together(write_csv: WriteCSV) -> None:
    found = load_task("overton-vk", write_csv("full/all.csv", ROWS))
    assert [row["situation"] for row in found.rows] == ["Baking {bread}", "Selling it"]
    assert found.rows[0] == {
        "id": 1,
        "situation": "Baking {bread}",
        "vrd": ["Care", "Thrift"],
        "explanation": ["Bread feeds.", "Flour costs."],
        "input": "Which values speak for and against this situation? Baking {bread}.",
        "output": None,
    }
    assert found.bad == ()


def test_each_value_is_a_question_with_its_stance_as_gold(write_csv: WriteCSV) -> None:
    found = load_task("steerable-vk", write_csv("full/all.csv", ROWS))
    assert [(row["id"], row["vrd"], row["label"], row["label_text"]) for row in found.rows] == [
        ("1-1", "Care", "A", "Supports"),
        ("1-2", "Thrift", "B", "Opposes"),
        ("2-1", "Fairness", "C", "Either"),
    ]
    first = found.examples()[0]
    assert first.attribute == "Care"
    assert first.query.endswith("Situation: Baking {bread}\n\nValue: Care")


def test_both_overton_tasks_have_the_same_records(write_csv: WriteCSV) -> None:
    place = write_csv("full/all.csv", ROWS)
    assert load_task("overton-judge", place).rows == load_task("overton-vk", place).rows


def test_an_unknown_stance_and_a_missing_explanation_are_named(write_csv: WriteCSV) -> None:
    place = write_csv("full/all.csv", [row("Singing", "Joy", "Perhaps", "")])
    assert "key label" in load_task("steerable-vk", place).bad[0].reason
    assert "key explanation.0" in load_task("overton-vk", place).bad[0].reason
