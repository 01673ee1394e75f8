"""What is asked where options carry letters: rotations, demos, and no more options than letters."""

from collections import Counter
from typing import Any

import pytest

from modplural.programs.choice_prompt import ChoiceDemo, ChoicePrompt, letter_prompts, lettered
from modplural.programs.engines.scoring import Turn

REQUEST = "Answer with the letter of one option."


def prompt(*options: str, **more: Any) -> ChoicePrompt:
    return ChoicePrompt("You choose.", "A drink?", options, **more)


def test_letters_stand_before_the_options_between_context_and_request() -> None:
    assert lettered("A drink?", ["tea", "milk"], "Which?") == "A drink?\n\nA. tea\nB. milk\n\nWhich?"


def test_every_option_stands_in_every_place_once() -> None:
    rotations = letter_prompts(prompt("tea", "milk", "water"))
    assert [turns[-1].content.splitlines()[2:5] for turns in rotations] == [
        ["A. tea", "B. milk", "C. water"],
        ["A. milk", "B. water", "C. tea"],
        ["A. water", "B. tea", "C. milk"],
    ]
    lines = Counter(line for turns in rotations for line in turns[-1].content.splitlines()[2:5])
    assert len(lines) == 9
    assert set(lines.values()) == {1}


def test_demos_come_first_and_keep_the_order_of_their_options() -> None:
    demo = ChoiceDemo("A meal?", ("soup", "bread"), right=1)
    for turns in letter_prompts(prompt("tea", "milk", demos=(demo,))):
        assert turns[:3] == (
            Turn("system", "You choose."),
            Turn("user", f"A meal?\n\nA. soup\nB. bread\n\n{REQUEST}"),
            Turn("assistant", "B"),
        )
        assert turns[3].role == "user"
        assert len(turns) == 4


def test_the_last_letter_is_the_26th() -> None:
    names = tuple(f"option {place}" for place in range(26))
    rotations = letter_prompts(prompt(*names))
    assert len(rotations) == 26
    assert "Z. option 25\n" in rotations[0][-1].content
    with pytest.raises(ValueError, match=r"27 options and 26 letters; measure by 'verdicts', 'texts' or 'channel'"):
        letter_prompts(prompt(*names, "one more"))


def test_a_demo_with_more_options_than_letters_does_not_spoil_a_small_question() -> None:
    large = ChoiceDemo("Which number?", tuple(f"number {n}" for n in range(30)), right=29)
    small = ChoiceDemo("A meal?", ("soup", "bread"), right=1)
    turns = letter_prompts(prompt("tea", "milk", demos=(large, small)))[0]
    assert [turn.content for turn in turns if turn.role == "assistant"] == ["B"]
