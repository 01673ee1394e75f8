"""Sentences and words as the metrics count them."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.metrics import count_words, split_sentences, truncate_words


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("", []),
        (" \n\t ", []),
        ("...", []),
        ("No full stop", ["No full stop"]),
        ("यह अच्छा है। यह बुरा है।", ["यह अच्छा है।", "यह बुरा है।"]),
        ("نعم؟ لا.", ["نعم؟", "لا."]),
        ("One. Two! Three? Four… Five", ["One.", "Two!", "Three?", "Four…", "Five"]),
        ("Dr. Smith met Mr. J. R. Jones. They spoke.", ["Dr. Smith met Mr. J. R. Jones.", "They spoke."]),
        (
            "Promises, e.g. Those to friends, count. So do I. Good.",
            ["Promises, e.g. Those to friends, count.", "So do I.", "Good."],
        ),
        (
            "It is legal in the U.S. Army (cf. No. 5). No. Not here.",
            ["It is legal in the U.S. Army (cf. No. 5).", "No.", "Not here."],
        ),
        (
            'He said "Stop!" and left. "Why?" "Because." She stayed.',
            ['He said "Stop!" and left.', '"Why?"', '"Because."', "She stayed."],
        ),
        ("“Be fair.” That is (mostly.) True.", ["“Be fair.”", "That is (mostly.)", "True."]),
        ("It costs 3.50 or v1.2.3 today. 5 people pay.", ["It costs 3.50 or v1.2.3 today.", "5 people pay."]),
        ("First line\nsecond. Third", ["First line second.", "Third"]),
        ("A heading\nA sentence", ["A heading", "A sentence"]),
        (
            "Think of:\n1. Honesty\n2) care\n- duty. And law.\n* (a) x",
            ["Think of:", "Honesty", "care", "duty.", "And law.", "(a) x"],
        ),
        ("他很诚实。她走了。好。", ["他很诚实。", "她走了。", "好。"]),
        ("One.\r\nTwo.", ["One.", "Two."]),
    ],
)
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


@pytest.mark.parametrize("part", [".", ".'", "a.", "?! ", "Dr. ", "a\n", "- ", "Z. a", "( "])
def test_a_text_of_any_length_is_split_at_once(part: str) -> None:
    start = time.monotonic()
    split_sentences(part * 200_000 + "x")
    assert time.monotonic() - start < 5.0


TEXTS = st.text(st.sampled_from("aZ é.!?…\"'()\n-1。"), max_size=60)


@given(TEXTS)
def test_sentences_are_parts_of_the_text_with_a_letter_each_and_lose_no_letter(text: str) -> None:
    sentences = split_sentences(text)
    assert all(any(map(str.isalpha, sentence)) and sentence == sentence.strip() for sentence in sentences)
    kept = [char for sentence in sentences for char in sentence if char in "Zé"]
    assert (
        kept == [char for char in text if char in "Zé"] or "Z." in text or "Z)" in text
    )  # such may be a list's letter


@given(TEXTS, st.integers(0, 20))
def test_a_cut_text_is_a_beginning_with_so_many_words(text: str, words: int) -> None:
    cut = truncate_words(text, words)
    assert text.startswith(cut)
    assert count_words(cut) == min(words, count_words(text))


def test_a_text_that_is_short_enough_stays_as_it_is() -> None:
    assert truncate_words(" one\n two ", 2) == " one\n two "
    assert truncate_words(" one\n two three", 2) == " one\n two"


def test_fewer_than_no_words_is_refused() -> None:
    with pytest.raises(ValueError, match="cannot keep -1 words"):
        truncate_words("one", -1)
