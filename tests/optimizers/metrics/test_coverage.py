"""Value coverage by hand: with a scorer of shared words."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.metrics import coverage, value_coverage
from modplural.optimizers.metrics.scorers import Scorer

from .conftest import OverlapScorer

WORDS = st.sampled_from(["care", "law", "duty", "truth"])
SENTENCES = st.lists(WORDS, min_size=1, max_size=4).map(lambda words: f"{' '.join(words).capitalize()}.")


def test_each_value_takes_its_best_sentence(overlap: Scorer) -> None:
    response = "Care and law. Truth and care matter. Nothing."
    scores = value_coverage(response, ["care truth", "law", "duty", "law truth"], overlap)
    assert scores.tolist() == [1.0, 1.0, 0.0, 0.5]


def test_words_of_different_sentences_do_not_add_up(overlap: Scorer) -> None:
    assert value_coverage("Care. Truth.", ["care truth"], overlap).tolist() == [0.5]


@pytest.mark.parametrize("response", ["", " \n", "...", "- "])
def test_a_response_that_says_nothing_covers_nothing_and_is_not_scored(response: str, overlap: OverlapScorer) -> None:
    assert value_coverage(response, ["care", "law"], overlap).tolist() == [0.0, 0.0]
    assert overlap.calls == 0


def test_a_situation_without_explanations_is_refused(overlap: Scorer) -> None:
    with pytest.raises(ValueError, match="nothing to cover"):
        value_coverage("Care.", [], overlap)


def test_a_dataset_is_averaged_over_situations_not_over_values(overlap: Scorer) -> None:
    found = coverage(["Care.", "Law is law."], [["care", "care"], ["law", "truth", "duty", "care"]], overlap)
    assert found.situations.tolist() == [1.0, 0.25]
    assert found.mean == 0.625
    assert found.covered == 0.5
    assert found.words == (1, 3)
    assert found.mean_words == 2
    assert found.scorer == "overlap"


def test_exactly_a_third_is_above_the_threshold_and_less_is_not(overlap: Scorer) -> None:
    assert coverage(["Care."], [["care", "law", "duty"]], overlap).covered == 1
    assert coverage(["Care."], [["care", "law", "duty", "truth"]], overlap).covered == 0


def test_no_situation_has_no_mean(overlap: Scorer) -> None:
    found = coverage([], [], overlap)
    assert all(math.isnan(value) for value in (found.mean, found.covered, found.mean_words))


def test_responses_and_explanations_belong_together(overlap: Scorer) -> None:
    with pytest.raises(ValueError, match="shorter"):
        coverage(["Care.", "Law."], [["care"]], overlap)


@given(st.permutations(["Care is law.", "Duty and truth.", "Care or truth."]), st.lists(SENTENCES, min_size=1))
def test_the_order_of_sentences_is_no_matter(sentences: list[str], explanations: list[str]) -> None:
    scored = value_coverage(" ".join(sentences), explanations, OverlapScorer())
    assert scored.tolist() == value_coverage(" ".join(sorted(sentences)), explanations, OverlapScorer()).tolist()


@given(st.lists(SENTENCES, max_size=4), SENTENCES, st.lists(SENTENCES, min_size=1, max_size=4))
def test_one_more_sentence_never_lowers_a_score(sentences: list[str], more: str, explanations: list[str]) -> None:
    before = value_coverage(" ".join(sentences), explanations, OverlapScorer())
    after = value_coverage(" ".join([*sentences, more]), explanations, OverlapScorer())
    assert ((before >= 0) & (before <= after) & (after <= 1)).all()
