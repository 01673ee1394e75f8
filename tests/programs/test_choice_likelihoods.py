"""Choices measured by likelihoods: distributions computed by hand, and none where likelihoods do not tell."""

import math
from collections.abc import Callable
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.programs.asking import CannotMeasureError
from modplural.programs.choice_likelihoods import channel, letters, texts, verdicts
from modplural.programs.choice_prompt import ChoiceDemo, ChoicePrompt, Scores
from modplural.programs.engines.fake import fake_lm
from modplural.programs.engines.scoring import Likelihood, ScoreItem, read_items
from modplural.programs.measures import run_plan

OPTIONS = ("tea", "milk", "water")
DEMO = ChoiceDemo("A meal?", ("soup", "bread", "stew"), right=1, channel="crumbs")
Measure = Callable[..., Scores]


def prompt(*options: str, **more: Any) -> ChoicePrompt:
    return ChoicePrompt("You choose.", "A drink?", options or OPTIONS, **more)


def asked(lm: dspy.LM) -> list[ScoreItem]:
    """The prompts of the one request that an engine is sent."""
    [request] = lm.engine.requests
    return list(read_items(request) or ())


def read(strategy: Any, prompt: ChoicePrompt, rows: list[list[Likelihood]]) -> Scores:
    """What a strategy makes of rows that a backend measured in part."""
    plan = strategy(fake_lm(), prompt)
    next(plan)
    with pytest.raises(StopIteration) as done:
        plan.send([rows])
    return done.value.value


def log(value: float) -> float:
    return math.log(value) if value else -math.inf


def shown_option(text: str, letter: str) -> str:
    """The option that stands behind a letter in the last list of a prompt."""
    return next(line[3:] for line in reversed(text.splitlines()) if line.startswith(f"{letter}. "))


def letter_likelihoods(options: dict[str, float], places: dict[str, float]) -> Callable[[str, str], float]:
    """An LM that likes options and places, one by the other, and says each letter half the time with a space."""

    def logprob(text: str, continuation: str) -> float:
        letter = continuation.strip()
        return log(options[shown_option(text, letter)] * places[letter] / 2)

    return logprob


def test_letters_are_averaged_over_the_rotations_with_both_spellings_summed(measured: Measure) -> None:
    likes = letter_likelihoods({"tea": 0.4, "milk": 0.2, "water": 0.1}, {"A": 1.0, "B": 0.3, "C": 0.2})
    scores = measured(fake_lm(likelihoods=likes), letters, prompt())
    # Over the places the mean is a half.
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.2, 0.1, 0.05])
    assert scores.outside == pytest.approx(0.65)
    assert scores.method == "likelihood"


def test_the_spellings_of_a_letter_need_not_be_equally_likely(measured: Measure) -> None:
    table = {"A": 0.1, " A": 0.3, "B": 0.1, " B": 0.2}
    lm = fake_lm(likelihoods=lambda text, letter: log(table[letter]))
    scores = measured(lm, letters, prompt("tea", "milk"))
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.35, 0.35])
    assert scores.outside == pytest.approx(0.3)
    assert [item.continuations for item in asked(lm)] == [("A", " A", "B", " B")] * 2


def test_a_favourite_place_favours_no_option(measured: Measure) -> None:
    lm = fake_lm(likelihoods={"A": math.log(0.9), "B": math.log(0.05), "C": math.log(0.04)})
    scores = measured(lm, letters, prompt())
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.33] * 3)
    assert scores.outside == pytest.approx(0.01)


@given(st.permutations(OPTIONS))
def test_the_order_of_options_does_not_matter_to_letters(order: list[str]) -> None:
    likes = letter_likelihoods({"tea": 0.5, "milk": 0.3, "water": 0.1}, {"A": 0.9, "B": 0.2, "C": 0.4})
    lm = fake_lm(likelihoods=likes)
    scores = run_plan(lm, letters(lm, prompt(*order)))
    found = {option: math.exp(logit) for option, logit in zip(order, scores.logits, strict=True)}
    assert found == pytest.approx({"tea": 0.25, "milk": 0.15, "water": 0.05})


def test_letters_far_less_likely_than_any_number_are_still_compared(measured: Measure) -> None:
    likes = {"tea": -5000.0, "milk": -5000.0 - math.log(3), "water": -9000.0}

    def logprob(text: str, continuation: str) -> float:
        return likes[shown_option(text, continuation.strip())]

    scores = measured(fake_lm(likelihoods=logprob), letters, prompt())
    assert scores.logits[0] - scores.logits[1] == pytest.approx(math.log(3))
    assert scores.logits[0] - scores.logits[2] == pytest.approx(4000.0)
    assert scores.outside == 1.0


def test_an_option_whose_letter_is_never_said_is_impossible() -> None:
    said, unsaid = [Likelihood(log(0.25), 1)] * 2, [Likelihood(-math.inf, 1)] * 2
    scores = read(letters, prompt("tea", "milk"), [said + unsaid, unsaid + said])
    assert scores.logits == (pytest.approx(log(0.5)), -math.inf)
    assert scores.outside == pytest.approx(0.5)


def test_rounding_leaves_nothing_outside_rather_than_less(measured: Measure) -> None:
    lm = fake_lm(likelihoods={"A": math.log(0.6), "B": math.log(0.4000001)})
    assert measured(lm, letters, prompt("tea", "milk")).outside == 0.0


def test_letters_that_are_never_said_are_no_distribution() -> None:
    row = [Likelihood(-math.inf, 1)] * 4
    with pytest.raises(CannotMeasureError, match="fake/lm: too few of the expected answers"):
        read(letters, prompt("tea", "milk"), [row, row])


def test_an_unlisted_letter_counts_as_its_bound_where_more_is_known() -> None:
    # tea first, then milk first; the second letter is not listed, so it is at most as likely as the last that is.
    row = [
        Likelihood(log(0.5), 1),
        Likelihood(log(0.2), 1),
        Likelihood(log(0.1), 1, True),
        Likelihood(log(0.1), 1, True),
    ]
    scores = read(letters, prompt("tea", "milk"), [row, row])
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.4, 0.4])
    half = [row[0], row[3], row[1], row[2]]
    scores = read(letters, prompt("tea", "milk"), [half, half[2:] + half[:2]])
    # An unlisted spelling adds nothing to one that is listed.
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.5, 0.2])


@pytest.mark.parametrize("known", [[], [0.05], [0.1], [0.05, 0.05]])
def test_bounds_alone_or_larger_than_what_is_known_say_nothing(known: list[float]) -> None:
    row = [Likelihood(log(value), 1) for value in known]
    row += [Likelihood(log(0.1), 1, True)] * (4 - len(row))
    with pytest.raises(CannotMeasureError, match=r"too few .* likeliest tokens it returned; the strategies 'sampled'"):
        read(letters, prompt("tea", "milk"), [row, row])


def test_texts_are_compared_by_token_with_the_sum_outside(measured: Measure) -> None:
    table = {"tea": log(0.3), "hot milk": log(0.04), "very cold tap water": log(0.0001)}
    lm = fake_lm(likelihoods=table)
    scores = measured(lm, texts, prompt("tea", "hot milk", "very cold tap water"))
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.3, 0.2, 0.1])
    assert scores.outside == pytest.approx(1 - 0.3 - 0.04 - 0.0001)
    [item] = asked(lm)
    assert item.continuations == (
        "tea",
        " tea",
        "hot milk",
        " hot milk",
        "very cold tap water",
        " very cold tap water",
    )
    assert [turn.content for turn in item.prompt] == ["You choose.", "A drink?"]


def test_a_text_has_as_many_tokens_as_its_likelier_spelling() -> None:
    row = [
        Likelihood(log(0.01), 1),
        Likelihood(log(0.24), 2),
        Likelihood(log(0.3), 1),
        Likelihood(log(0.2), 2),
    ]
    scores = read(texts, prompt("tea", "milk"), [row])
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.5, 0.5])


def test_a_spelling_that_is_only_bounded_does_not_count_as_a_text() -> None:
    row = [
        Likelihood(log(0.2), 1),
        Likelihood(log(0.9), 1, True),
        Likelihood(log(0.1), 1, True),
        Likelihood(log(0.1), 1),
    ]
    scores = read(texts, prompt("tea", "milk"), [row])
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.2, 0.1])


@pytest.mark.parametrize(
    ("strategy", "rows"),
    [
        (texts, [[Likelihood(-1.0, 1), Likelihood(-1.0, 1), Likelihood(-2.0, 1, True), Likelihood(-2.0, 1, True)]]),
        (channel, [[Likelihood(-1.0, 1), Likelihood(-1.0, 1)], [Likelihood(-2.0, 1, True), Likelihood(-2.0, 1, True)]]),
    ],
)
def test_a_text_that_is_only_bounded_is_not_measured(strategy: Any, rows: list[list[Likelihood]]) -> None:
    with pytest.raises(CannotMeasureError, match=r"the likelihood of '(milk|warmth)' could not be measured"):
        read(strategy, prompt("tea", "milk", channel="warmth"), rows)


ODDS = {
    ("tea", "Good"): 4.0,
    ("tea", "Yes"): 2.0,
    ("tea", "True"): 1.0,
    ("milk", "Good"): 1.0,
    ("milk", "Yes"): 0.5,
    ("milk", "True"): 1.0,
}
OPPOSITES = {"Good": "Bad", "Yes": "No", "True": "False"}


def verdict(text: str, continuation: str) -> float:
    """Log-probability of a verdict: a tenth for the unfavourable one, `ODDS` times as much for the other."""
    option, word = text.splitlines()[-2], continuation.strip()
    return log(0.05 * (1.0 if word in OPPOSITES.values() else ODDS[option, word]))


def test_verdicts_are_the_mean_of_the_log_odds(measured: Measure) -> None:
    scores = measured(fake_lm(likelihoods=verdict), verdicts, prompt("tea", "milk"))
    assert scores.logits == pytest.approx((math.log(4 * 2 * 1) / 3, math.log(1 * 0.5 * 1) / 3))
    left = [1 - 0.1 - 0.1 * odds for odds in ODDS.values()]
    assert scores.outside == pytest.approx(sum(left) / 6)


def test_every_option_is_judged_by_itself(measured: Measure) -> None:
    lm = fake_lm(likelihoods=verdict)
    measured(lm, verdicts, prompt("tea", "milk"))
    items = asked(lm)
    assert len(items) == 2 * len(OPPOSITES)
    for item in items:
        text = item.prompt[-1].content
        assert text.startswith("A drink?\n")
        assert ("tea" in text) != ("milk" in text)
        assert text.endswith("?")
    for favourable, unfavourable in OPPOSITES.items():
        spellings = (favourable, f" {favourable}", unfavourable, f" {unfavourable}")
        assert [item.continuations for item in items].count(spellings) == 2


def test_the_order_of_options_does_not_matter_to_verdicts(measured: Measure) -> None:
    lm = fake_lm(likelihoods=verdict)
    one, other = (measured(lm, verdicts, prompt(*options)) for options in (("tea", "milk"), ("milk", "tea")))
    assert other.logits == one.logits[::-1]


@pytest.mark.parametrize("silent", [[0, 1], [2, 3]])
def test_a_verdict_never_given_has_no_odds(silent: list[int]) -> None:
    row = [Likelihood(-math.inf if place in silent else -1.0, 1) for place in range(4)]
    with pytest.raises(CannotMeasureError, match="no probability at all to one of the verdicts"):
        read(verdicts, prompt("tea", "milk"), [row] * 6)


def test_channel_compares_another_input_given_each_option(measured: Measure) -> None:
    def logprob(text: str, continuation: str) -> float:
        return log({"tea": 0.3, "milk": 0.1}[text.splitlines()[1]] * {"warmth": 0.25, " warmth": 0.75}[continuation])

    lm = fake_lm(likelihoods=logprob)
    scores = measured(lm, channel, prompt("tea", "milk", channel="warmth"))
    assert [math.exp(logit) for logit in scores.logits] == pytest.approx([0.3, 0.1])
    assert scores.outside is None
    for item, option in zip(asked(lm), ("tea", "milk"), strict=True):
        assert item.prompt[-1].content.startswith(f"{option}\n")
        assert "warmth" not in item.prompt[-1].content


@pytest.mark.parametrize("value", [None, ""])
def test_channel_needs_a_text_to_compare(value: str | None, measured: Measure) -> None:
    lm = fake_lm(likelihoods=lambda text, continuation: -1.0)
    with pytest.raises(ValueError, match=r"'channel' compares the likelihood of an input; declare it, and give it a"):
        measured(lm, channel, prompt(channel=value))
    assert not lm.engine.requests


@pytest.mark.parametrize(
    ("strategy", "shown"),
    [
        (letters, [("A meal?\n\nA. soup\nB. bread\nC. stew\n\nAnswer with the letter of one option.", "B")]),
        (texts, [("A meal?", "bread")]),
        (
            verdicts,
            [("A meal?\nbread\nIs this good or bad?", "Good"), ("A meal?\nstew\nIs this good or bad?", "Bad")],
        ),
        (channel, [("bread\n\nWhat is this about?", "crumbs")]),
    ],
)
def test_demos_are_shown_as_the_question_is_asked(
    strategy: Any, shown: list[tuple[str, str]], measured: Measure
) -> None:
    lm = fake_lm(likelihoods=lambda text, continuation: -1.0)
    measured(lm, strategy, prompt(demos=(DEMO,), channel="warmth"))
    system, *turns, last = asked(lm)[0].prompt
    assert system == ("system", "You choose.")
    assert [(turn.role, turn.content) for turn in turns] == [
        pair for asks, says in shown for pair in (("user", asks), ("assistant", says))
    ]
    question = last.content.replace("A drink?", "A meal?").splitlines()[-1]
    assert last.role == "user"
    assert question == shown[0][0].splitlines()[-1]


def test_a_demo_without_the_compared_input_is_left_out_of_channel_only(measured: Measure) -> None:
    demo = ChoiceDemo("A meal?", ("soup", "bread"), right=0)
    for strategy, turns in ((channel, 2), (texts, 4)):
        lm = fake_lm(likelihoods=lambda text, continuation: -1.0)
        measured(lm, strategy, prompt(demos=(demo,), channel="warmth"))
        assert len(asked(lm)[0].prompt) == turns


def test_more_options_than_letters_are_for_the_other_strategies(measured: Measure) -> None:
    many = prompt(*(f"option {place}" for place in range(30)), channel="warmth")
    lm = fake_lm(likelihoods=lambda text, continuation: -1.0)
    with pytest.raises(ValueError, match=r"30 options and 26 letters; measure by 'verdicts', 'texts' or 'channel'"):
        measured(lm, letters, many)
    assert not lm.engine.requests
    for strategy in (verdicts, texts, channel):
        assert len(measured(lm, strategy, many).logits) == 30
