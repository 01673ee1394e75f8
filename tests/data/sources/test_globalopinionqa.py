"""GlobalOpinionQA: a row per question, the countries' shares in the text of a defaultdict."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from modplural.data.sources import load_task

WriteCSV = Callable[[str, Sequence[Mapping[str, str]]], Path]

TASK = "distributional-globalopinionqa"
ROW = {
    "question": "Do you like tea?",
    "selections": "defaultdict(<class 'list'>, {'Atlantis': [0.25, 0.7, 0.05], \"Côte d'Azur\": [1, 0, 0]})",
    "options": "['Yes, a lot', 'None', '10']",
    "source": "WVS",
}


def save(write: WriteCSV, *rows: Mapping[str, str]) -> Path:
    return write("data/global_opinions.csv", rows)


def test_a_question_becomes_a_record_per_country(write_csv: WriteCSV) -> None:
    found = load_task(TASK, save(write_csv, ROW))
    assert found.rows == (
        {
            "id": "0/Atlantis",
            "question": "Question: Do you like tea?\nOptions: A. Yes, a lot B. None C. 10\nAnswer:",
            "options": ["Yes, a lot", "None", "10"],
            "attribute": "Atlantis",
            "gold_distribution": [0.25, 0.7, 0.05],
            "pred_distribution": None,
        },
        {**found.rows[0], "id": "0/Côte d'Azur", "attribute": "Côte d'Azur", "gold_distribution": [1, 0, 0]},
    )
    assert [example.query for example in found.examples()] == ["Do you like tea?"] * 2


def test_rows_that_cannot_be_read_are_named_while_the_rest_is_read(write_csv: WriteCSV) -> None:
    broken = [
        {**ROW, "question": ""},
        {**ROW, "selections": "defaultdict(<class 'list'>, {'Atlantis': [nan, 1.0, 0.0]})"},
        {**ROW, "options": "['Yes', 'No']"},
        {**ROW, "options": "Yes or no"},
    ]
    found = load_task(TASK, save(write_csv, *broken, ROW))
    assert [record.id for record in found.records.values()] == ["4/Atlantis", "4/Côte d'Azur"]
    reasons = {found.rows[bad.index]["id"]: bad.reason for bad in found.bad}
    assert list(reasons) == [
        "0/Atlantis",
        "0/Côte d'Azur",
        "1/None",
        *(f"{n}/{c}" for n in (2, 3) for c in ("Atlantis", "Côte d'Azur")),
    ]
    assert "key question" in reasons["0/Atlantis"]
    assert "key gold_distribution" in reasons["1/None"]
    assert "2 texts in 'options' but 3" in reasons["2/Atlantis"]
    assert "key options" in reasons["3/Atlantis"]


def test_nothing_in_a_cell_is_run(write_csv: WriteCSV, tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    attack = f"defaultdict(open({str(mark)!r}, 'w'), {{'Atlantis': [open({str(mark)!r}, 'w')]}})"
    found = load_task(TASK, save(write_csv, {**ROW, "selections": attack}))
    assert len(found.bad) == 1
    assert not mark.exists()
