"""What tools wrote, read or counted as unreadable."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.data import RecordFile, read_records
from modplural.optimizers.written_answers import UnreadableAnswerError, read_answers, read_letter

OVERTON = {"id": 1, "situation": "s", "vrd": ["v"], "explanation": ["e"], "input": "Comment."}
STANCE = {"id": 1, "situation": "s", "vrd": "Care", "label": "A", "label_text": "Supports", "input": "Does it?"}
OPINION = {"id": 1, "question": "Tea?", "options": ["yes", "no"], "attribute": "Chile", "gold_distribution": [0.5, 0.5]}


def answered(tmp_path: Path, record: dict[str, Any], key: str, *values: object) -> RecordFile:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps([record, *({**record, key: value} for value in values)]), encoding="utf-8")
    return read_records(file)


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("A", "A"),
        ("b", "B"),
        ("(C)", "C"),
        (" B. ", "B"),
        ("**B**", "B"),
        ("Answer: B", "B"),
        ("answer: (C)", "C"),
        ("**Answer:** B", "B"),
        ("Answer:\nB", "B"),
        ("The answer is B.", "B"),
        ("The correct answer is option C.", "C"),
        ("My choice is A - Supports", "A"),
        ("B. Opposes", "B"),
        ("B) Oppose", "B"),
        ("A.Supports", "A"),
        ("A Support", "A"),
        ("Option C", "C"),
        ("B\nA lie harms trust.", "B"),
        ("Answer: B. A lie harms trust.", "B"),
        ("Opposes", "B"),
        ("Either.", "C"),
        ("Being fair matters here.\nAnswer: C", "C"),
        ("A) Supports\n\nExplanation: B is wrong.", "A"),
        ("B) Opposes\n\nExplanation: A) is wrong.", "B"),
        ("Answer: Support", "A"),
        ("Answer: **Opposes**.", "B"),
        ("The label is either.", "C"),
        ("Support. Because it is kind.", "A"),
        ("Opposes\n\nIt is unkind.", "B"),
        ("a. support", "A"),
        ("b) Opposes, for it is unkind.", "B"),
        ("<answer>B</answer>", "B"),
        ("<answer>Either</answer>", "C"),
    ],
)
def test_a_letter_that_answers_is_read(text: str, letter: str) -> None:
    assert read_letter(text) == letter


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("Answer:", "no option's letter"),
        ("A lie harms trust.", "no option's letter"),
        ("Answer: A lie harms trust.", "no option's letter"),
        ("Answer: Bad", "no option's letter"),
        ("Because it is Care", "no option's letter"),
        ("A's choice", "no option's letter"),
        ("Vitamin C is good for you", "no option's letter"),
        ("It would support and oppose this", "no option's letter"),
        ("D", "no option's letter"),
        ("A-list people do", "no option's letter"),
        ("A, B", "several letters"),
        ("A or B", "no option's letter"),
        ("A. Support B. Oppose C. Either", "several letters"),
        ("Answer: B\nQuestion: another\nAnswer: A", "several letters"),
        ("A. Opposes", "A is not 'Opposes'"),
        ("Answer: B (Support)", "B is not 'Support'"),
        ("Either way, A lie harms trust.", "no option's letter"),
        ("Answer: support or oppose", "no option's letter"),
        ("Answer: Support. Answer: Oppose.", "several letters"),
        ("Support. The answer is B.", "several letters"),
        ("a. support\nb. oppose", "several letters"),
        ("a. oppose", "A is not 'oppose'"),
        ("Answer: A, and B", "several letters"),
    ],
)
def test_what_does_not_tell_is_not_guessed(text: str, why: str) -> None:
    with pytest.raises(UnreadableAnswerError, match=why):
        read_letter(text)


@given(st.text(st.characters(categories=["Ll", "Lu"]), min_size=2).filter(lambda word: word.isascii()))
def test_a_letter_inside_a_word_is_no_answer(word: str) -> None:
    if word.casefold() not in ("support", "supports", "oppose", "opposes", "either", "answer"):
        with pytest.raises(UnreadableAnswerError):
            read_letter(f"Answer: {word}")


def test_missing_and_unreadable_answers_are_kept_apart(tmp_path: Path) -> None:
    found = read_answers(answered(tmp_path, STANCE, "output", None, "  ", "Answer: B", "dunno", 3))
    assert {index: one.option for index, one in found.predictions.items()} == {3: "Oppose"}
    assert found.missing == (0, 1, 2)
    assert [(one.index, one.reason) for one in found.unreadable] == [
        (4, "no option's letter answers in 'dunno'"),
        (5, "a text is needed, not 3"),
    ]


def test_a_response_is_read_as_it_is(tmp_path: Path) -> None:
    found = read_answers(answered(tmp_path, OVERTON, "output", " So it is.", ["So"]))
    assert found.predictions[1].response == " So it is."
    assert [one.index for one in found.unreadable] == [2]


def test_a_distribution_is_in_the_order_of_the_options(tmp_path: Path) -> None:
    found = read_answers(answered(tmp_path, OPINION, "pred_distribution", [0.25, 0.75], [1, 3], []))
    assert found.predictions[1].probabilities == {"yes": 0.25, "no": 0.75}
    assert found.predictions[2].probabilities == {"yes": 0.25, "no": 0.75}
    assert (found.missing, found.rescaled) == ((0, 3), (2,))


@pytest.mark.parametrize(
    "written", [[1.0], [0.5, -0.5], [0, 0], ["0.5", "0.5"], [True, False], [None, 1], "yes", {"yes": 1}, 1, [1e999, 0]]
)
def test_no_distribution_is_made_up(tmp_path: Path, written: object) -> None:
    found = read_answers(answered(tmp_path, OPINION, "pred_distribution", written))
    assert (dict(found.predictions), found.missing) == ({}, (0,))
    assert [one.index for one in found.unreadable] == [1]


def test_huge_shares_that_cannot_be_summed_are_unreadable(tmp_path: Path) -> None:
    found = read_answers(answered(tmp_path, OPINION, "pred_distribution", [1e308, 1e308], [10**400, 1]))
    assert [one.index for one in found.unreadable] == [1, 2]
