"""Where sentences end, in replies of LMs."""

# ruff: noqa: RUF001 - text in many scripts is what is tested
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.programs.sentences import ended, first_sentence, whole_sentences

LINES = st.lists(st.sampled_from(["Kindness", "matters", "e.g.", "3.5", "so.", "Yes!", "\u3002", "(no?)", "a" * 40]))


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        ("Caring for others comes first. It always does.", "Caring for others comes first."),
        ("Sure! Caring for others comes first. It does.", "Sure! Caring for others comes first."),
        ('She asked,\n"Is it right to\nsteal?" Then left.', 'She asked, "Is it right to steal?"'),
        ("A price of 3.5 million is too much! Really.", "A price of 3.5 million is too much!"),
        ("Caring for others without an end", "Caring for others without an end"),
        (
            "照顾别人比什么都重要，我们都应该这样做，没有例外。 还有别的。",
            "照顾别人比什么都重要，我们都应该这样做，没有例外。",
        ),
        ("We think that you should ask Dr. Smith first. Then go.", "We think that you should ask Dr. Smith first."),
        ("People in the U.S. value free speech. So do I.", "People in the U.S. value free speech."),
        ("It matters for some, e.g. those with children. And me.", "It matters for some, e.g. those with children."),
        (
            "照顾别人比什么都重要，我们都应该这样做，没有例外。还有。",
            "照顾别人比什么都重要，我们都应该这样做，没有例外。",
        ),
        ("दूसरों की देखभाल सबसे पहले है। यह दूसरा है।", "दूसरों की देखभाल सबसे पहले है।"),
        ("", ""),
    ],
)
def test_first_sentence_of_a_reply(reply: str, sentence: str) -> None:
    assert first_sentence(reply) == sentence


@given(st.text(st.sampled_from("abZ .!?。।'\")\n"), max_size=60))
def test_first_sentence_is_a_beginning_that_says_something_and_ends(reply: str) -> None:
    line = " ".join(reply.split())
    found = first_sentence(reply)
    assert line.startswith(found)
    assert found == line or (len(found) > 20 and found.rstrip("'\")")[-1] in ".!?。।")
    assert first_sentence(found) == found


@pytest.mark.parametrize("part", ["!", "!)", "!'", "a.", "?! ", "。"])
def test_the_first_sentence_of_a_text_of_any_length_is_found_at_once(part: str) -> None:
    start = time.monotonic()
    assert first_sentence(part * 200_000 + "x")
    assert time.monotonic() - start < 1.0


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Caring for others comes first. It always", "Caring for others comes first."),
        ("Caring for others comes first. It always does.", "Caring for others comes first. It always does."),
        (
            "Caring comes first! (Or so it is said.) And",
            "Caring comes first! (Or so it is said.)",
        ),
        ("Caring for others comes", "Caring for others comes"),
        ("Sure! Caring for others comes", "Sure! Caring for others comes"),
        ("I asked my friend Dr. Smith about it", "I asked my friend Dr. Smith about it"),
        ("Some people, e.g. Old ones, would lose", "Some people, e.g. Old ones, would lose"),
        ("Think of the following: 1. Be kind 2. Be fair", "Think of the following: 1. Be kind 2. Be fair"),
        ("A price of 3.5 million is too", "A price of 3.5 million is too"),
        ("It weighs about approx. five tons or", "It weighs about approx. five tons or"),
        (
            "照顾别人比什么都重要，我们都应该这样做，没有例外。还",
            "照顾别人比什么都重要，我们都应该这样做，没有例外。",
        ),
        ("", ""),
    ],
)
def test_what_ends_within_a_sentence_is_cut_back(line: str, kept: str) -> None:
    assert whole_sentences(line, 100) == kept


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("Kindness comes first here. Then comes fairness. Then comes all else.", "Kindness comes first here."),
        ("Kindness and fairness and liberty and loyalty.", "Kindness and fairness and liberty and…"),
        ("a" * 90, f"{'a' * 39}…"),
    ],
)
def test_what_is_too_long_is_cut(line: str, kept: str) -> None:
    assert whole_sentences(line, 40) == kept


@pytest.mark.parametrize("part", [".", ".'", "a.", "?! ", "。"])
def test_a_text_of_any_length_is_cut_at_once(part: str) -> None:
    start = time.monotonic()
    assert len(whole_sentences(part * 1_000_000 + "x", 2000)) <= 2000
    assert time.monotonic() - start < 1.0


@given(words=LINES, longest=st.integers(20, 90))
def test_what_is_cut_is_a_beginning_that_fits_and_is_cut_once(words: list[str], longest: int) -> None:
    line = " ".join(words)
    kept = whole_sentences(line, longest)
    assert len(kept) <= longest
    assert line.startswith(kept.removesuffix("…"))
    assert whole_sentences(kept, longest) == kept
    assert bool(kept) == bool(line)


@pytest.mark.parametrize(
    ("text", "whole"),
    [("Kindness counts", "Kindness counts."), ("Does it?”", "Does it?”"), ("… and so on…", "… and so on…"), ("", "")],
)
def test_what_has_no_end_gets_a_full_stop(text: str, whole: str) -> None:
    assert ended(text) == whole
