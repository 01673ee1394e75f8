"""Scores that take long are kept, by what made them; others are made anew."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from modplural.optimizers.evaluation.kept_scorer import kept_scorer
from modplural.optimizers.evaluation.store import Store
from modplural.optimizers.metrics import EmbeddingScorer, JudgeScorer, NLIScorer
from modplural.programs.engines.fake import fake_lm

from .conftest import Words, engine_of

PREMISES, HYPOTHESES = ["Joy matters.", "Peace matters."], ["It is a joy.", "Nobody quarrels.", "So what?"]


class Counting(NLIScorer):
    """Takes a pair to be as likely as it is long, and writes down what it is asked."""

    def __init__(self, model: str) -> None:
        super().__init__(model)
        self.asked: list[tuple[str, str]] = []

    def _classify(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        self.asked += pairs
        return [1 / (len(premise) + len(hypothesis)) for premise, hypothesis in pairs]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Store]:
    with Store(tmp_path / "evaluation.sqlite") as opened:
        yield opened


def test_entailment_is_found_again_as_it_was(opened: Store) -> None:
    first, second = Counting("mine"), Counting("mine")
    made = kept_scorer(first, opened, 4).score(PREMISES, HYPOTHESES)
    again = kept_scorer(second, opened, 4).score(PREMISES, HYPOTHESES)
    assert (len(first.asked), second.asked) == (6, [])
    np.testing.assert_array_equal(made, again)
    np.testing.assert_array_equal(made, first.score(PREMISES, HYPOTHESES))


def test_another_model_or_text_is_scored_anew(opened: Store) -> None:
    kept_scorer(Counting("mine"), opened, 4).score(PREMISES, HYPOTHESES)
    other, more = Counting("other"), Counting("mine")
    kept_scorer(other, opened, 4).score(PREMISES, HYPOTHESES)
    kept_scorer(more, opened, 4).score(PREMISES, HYPOTHESES[:2])
    assert (len(other.asked), len(more.asked)) == (6, 4)


def test_no_hypothesis_has_no_score(opened: Store) -> None:
    for _ in range(2):
        assert kept_scorer(Counting("mine"), opened, 4).score(PREMISES, []).shape == (2, 0)


def test_what_a_judge_is_asked_is_counted_and_depends_on_its_instructions(opened: Store) -> None:
    judges = [JudgeScorer(fake_lm(likelihoods=lambda prompt, text: -1.0, name="judge")) for _ in range(3)]
    judges[2].choice.signature = judges[2].choice.signature.with_instructions("Be strict.")
    made = [kept_scorer(judge, opened, 4).score(PREMISES, HYPOTHESES) for judge in judges]
    asked = [len(engine_of(judge.lm).requests) for judge in judges]
    assert asked[0] == asked[2] > asked[1] == 0
    assert opened.usage()["fake/judge"].calls == 2 * asked[0]
    np.testing.assert_array_equal(made[0], made[1])
    assert made[0].shape == (2, 3)


@pytest.mark.parametrize("scorer", [Words(), EmbeddingScorer()])
def test_others_are_left_as_they_are(opened: Store, scorer: Words | EmbeddingScorer) -> None:
    assert kept_scorer(scorer, opened, 4) is scorer
