"""What is read out of replies: letters and numbers, and nothing where there is neither."""

import math
from collections.abc import Callable
from typing import Any

import dspy
import pytest

from modplural.programs.asking import CannotMeasureError
from modplural.programs.choice_prompt import ChoiceDemo, ChoicePrompt, Scores
from modplural.programs.choice_replies import sampled, stated_letter, verbalized, written_numbers
from modplural.programs.engines.fake import AsyncFakeEngine, FakeEngine, fake_lm, prompt_text

Measure = Callable[..., Scores]


class Reasoning(FakeEngine):
    """An engine whose LM reasons before it answers."""

    supports_reasoning = True


def prompt(*options: str, demos: tuple[ChoiceDemo, ...] = ()) -> ChoicePrompt:
    return ChoicePrompt("You choose.", "A drink?", options, demos)


@pytest.mark.parametrize(
    ("reply", "place"),
    [
        ("B", 1),
        ("b", None),
        (" B ", 1),
        ("B.", 1),
        ("(B)", 1),
        ("[B]", 1),
        ("**B**", 1),
        ('"B"', 1),
        ("B. Tea", 1),
        ("B) Tea", 1),
        ("B: Tea", 1),
        ("B - Tea", 1),
        ("B \u2014 Tea", 1),
        ("- B. Tea", 1),
        ("Answer: B", 1),
        ("answer: B. A good one", 1),
        ("Answer:\nB", 1),
        ("The answer is B", 1),
        ("The answer is **B**.", 1),
        ("The answer would be option C.", 2),
        ("I choose (C)", 2),
        ("I would pick option B.", 1),
        ("My choice: B\n\nMy choice: B", 1),
        ("It is warm.\nB", 1),
        ("A", 0),
        ("A. A cup of tea", 0),
        ("A cup of tea", None),
        ("A lie is wrong", None),
        ("Answer: A cup of tea", None),
        ("Answer: Both", None),
        ("Answer: tea", None),
        ("Be kind", None),
        ("I choose tea", None),
        ("I", None),
        ("D", None),
        ("The answer is D.", None),
        ("\u0392", None),  # a Greek letter
        ("Not B", None),
        ("I would not choose B", None),
        ("I don't pick B.", None),
        ("I cannot choose B", None),
        ("I would never choose B.", None),
        ("A. Tea\nB. Coffee", None),
        ("Answer: A\nAnswer: B", None),
        ("A or B", None),
        ("(A) or (B)", None),
        ("Option A is better than option B.", None),
        ("I prefer option A to option B.", None),
        ("", None),
        ("\n", None),
        ("I am sorry, but I have no opinion.", None),
    ],
)
def test_a_letter_counts_only_where_it_is_the_answer(reply: str, place: int | None) -> None:
    assert stated_letter(reply, 3) == place


@pytest.mark.parametrize(
    ("reply", "numbers"),
    [
        ("A: 40%\nB: 60%", [40.0, 60.0]),
        ("B: 60%\nA: 40%", [40.0, 60.0]),
        ("Here they are:\n\n- A: 0.4\n- B: .6\n", [0.4, 0.6]),
        ("**A**: 40 %\n**B**: 60 %", [40.0, 60.0]),
        ("A - 40\nB - 60", [40.0, 60.0]),
        ("(A) 0\n(B) 1", [0.0, 1.0]),
        ("A: 1\nB: 2", [1.0, 2.0]),
        ("A: 0%\nB: 0%", None),
        ("A: 40%", None),
        ("A: 40%\nB: 60%\nC: 0%", None),
        ("A: 40%\nA: 40%\nB: 60%", None),
        ("A: 40%\nC: 60%", None),
        ("A: forty\nB: sixty", None),
        ("A: 40% or so\nB: 60%", None),
        ("A: 30-40%\nB: 60%", None),
        ("A: 1,000\nB: 2,000", None),
        ("A: 40% B: 60%", None),
        ("A: -40%\nB: 60%", None),
        ("40%\n60%", None),
        ("", None),
    ],
)
def test_numbers_count_where_every_option_has_just_one(reply: str, numbers: list[float] | None) -> None:
    assert written_numbers(reply, 2) == numbers


def test_sampled_counts_options_and_not_places(measured: Measure) -> None:
    def reply(request: Any) -> str:
        lines = prompt_text(request).splitlines()
        wanted = "milk" if request.config.seed < 3 else "tea"
        return next(line[0] for line in lines if line[1:] == f". {wanted}")

    lm = fake_lm(reply)
    scores = measured(lm, sampled, prompt("tea", "milk", "water"))
    assert scores == Scores((math.log(9), math.log(3), -math.inf), "sampling", 0.0)


@pytest.mark.parametrize(("count", "draws"), [(2, 10), (3, 12), (5, 10), (7, 14), (12, 12), (26, 26)])
def test_every_rotation_is_drawn_equally_often_with_seeds_of_its_own(count: int, draws: int, measured: Measure) -> None:
    lm = fake_lm({"": "A"})
    options = [f"option {place}" for place in range(count)]
    scores = measured(lm, sampled, prompt(*options))
    assert scores.logits == pytest.approx([math.log(draws / count)] * count)
    requests = sorted(lm.engine.requests, key=lambda request: request.config.seed)
    assert [request.config.seed for request in requests] == list(range(draws))
    firsts = [text.split("\nA. ")[1].split("\n")[0] for text in map(prompt_text, requests)]
    assert sorted(firsts) == sorted(options * (draws // count))
    assert {(request.config.temperature, request.config.max_tokens) for request in requests} == {(1.0, 16)}


def test_draws_that_name_no_option_are_outside(measured: Measure) -> None:
    replies = ["A", "A cup of tea", "B. and more", "", "Answer: A", "C", "None of them.", "A", "A\nB", "(A)"]
    scores = measured(fake_lm(lambda request: replies[request.config.seed]), sampled, prompt("tea", "milk"))
    # Even draws show tea as A, odd ones milk: A (0), B (2), A (4) | A (7), A (9).
    assert scores.logits == pytest.approx((math.log(2), math.log(3)))
    assert scores.outside == pytest.approx(0.5)


def test_replies_without_any_letter_are_no_distribution(measured: Measure) -> None:
    lm = fake_lm({"": "I have no opinion."}, name="shy")
    with pytest.raises(
        CannotMeasureError, match=r"fake/shy: none of its 10 replies names one option.*'I have no opinion\.'.*other str"
    ):
        measured(lm, sampled, prompt("tea", "milk"))


def test_sampled_shows_demos_with_their_letters(measured: Measure) -> None:
    lm = fake_lm({"": "A"})
    measured(lm, sampled, prompt("tea", "milk", demos=(ChoiceDemo("A meal?", ("soup", "bread"), 1),)))
    for request in lm.engine.requests:
        assert [message.role for message in request.messages] == ["user", "assistant", "user"]
        assert "A. soup\nB. bread" in prompt_text(request)
        assert request.messages[1].text == "B"


def test_verbalized_asks_once_and_takes_what_is_written(measured: Measure) -> None:
    lm = fake_lm({"How likely is each option?": "A: 25%\nB: 50%\nC: 0%"})
    scores = measured(lm, verbalized, prompt("tea", "milk", "water"))
    assert scores == Scores((math.log(25), math.log(50), -math.inf), "verbalized")
    [request] = lm.engine.requests
    assert request.config.temperature == 0.0
    assert request.config.max_tokens >= 3 * len("A: 100%\n")
    assert "A. tea\nB. milk\nC. water" in prompt_text(request)


def test_verbalized_shows_demos_in_the_form_it_reads(measured: Measure) -> None:
    lm = fake_lm({"": "A: 25%\nB: 75%"})
    measured(lm, verbalized, prompt("tea", "milk", demos=(ChoiceDemo("A meal?", ("soup", "stew", "bread"), 1),)))
    [request] = lm.engine.requests
    said = request.messages[1].text
    assert said == "A: 0%\nB: 100%\nC: 0%"
    assert written_numbers(said, 3) == [0.0, 100.0, 0.0]


@pytest.mark.parametrize(("strategy", "said"), [(sampled, "B"), (verbalized, "A: 0%\nB: 100%")])
def test_a_demo_with_more_options_than_letters_does_not_spoil_a_small_question(
    strategy: Any, said: str, measured: Measure
) -> None:
    large = ChoiceDemo("Which number?", tuple(f"number {n}" for n in range(30)), right=29)
    small = ChoiceDemo("A meal?", ("soup", "bread"), right=1)
    lm = fake_lm(lambda request: "A: 25%\nB: 75%" if "How likely" in prompt_text(request) else "A")
    measured(lm, strategy, prompt("tea", "milk", demos=(large, small)))
    for request in lm.engine.requests:
        assert [message.text for message in request.messages if message.role == "assistant"] == [said]


@pytest.mark.parametrize("reply", ["I cannot say.", "A: 0%\nB: 0%", "A: 100%"])
def test_verbalized_makes_no_numbers_up(reply: str, measured: Measure) -> None:
    with pytest.raises(
        CannotMeasureError, match=r"fake/lm: it does not write one number for each of 2 options"
    ) as said:
        measured(fake_lm({"": reply}), verbalized, prompt("tea", "milk"))
    assert repr(reply) in str(said.value)


def test_a_long_reply_is_cut_in_the_message(measured: Measure) -> None:
    with pytest.raises(CannotMeasureError) as raised:
        measured(fake_lm({"": "no " * 5000}), verbalized, prompt("tea", "milk"))
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize("strategy", [sampled, verbalized])
def test_more_options_than_letters_are_refused(strategy: Any, measured: Measure) -> None:
    lm = fake_lm({"": "A"})
    with pytest.raises(ValueError, match="27 options and 26 letters"):
        measured(lm, strategy, prompt(*(f"option {place}" for place in range(27))))
    assert not lm.engine.requests


def test_an_lm_that_reasons_is_asked_without_settings_that_it_would_refuse(measured: Measure) -> None:
    engine = Reasoning(lambda request: "A: 100%\nB: 0%" if "How likely" in prompt_text(request) else "A")
    lm = dspy.LM("fake/thinker", engine=engine, async_engine=AsyncFakeEngine(engine), cache=False)
    measured(lm, sampled, prompt("tea", "milk"))
    assert sorted(request.config.seed for request in engine.requests) == list(range(10))
    measured(lm, verbalized, prompt("tea", "milk"))
    assert {(request.config.temperature, request.config.max_tokens) for request in engine.requests} == {(None, None)}
