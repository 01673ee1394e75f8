"""The NLI scorer over a tiny random classifier."""

from pathlib import Path

import numpy as np
import pytest

from modplural.optimizers.metrics import NLIScorer
from modplural.optimizers.metrics.nli import entailment_index

LABELS = {0: "CONTRADICTION", 1: "NEUTRAL", 2: "ENTAILMENT"}


@pytest.fixture(scope="module")
def nli(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random BERT with the tokenizer of the tiny LM."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    folder = tmp_path_factory.mktemp("nli")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.5,
        pad_token_id=tokenizer.pad_token_id,
        id2label=LABELS,
        label2id={label: index for index, label in LABELS.items()},
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def test_a_batch_scores_what_a_pair_scores_by_itself(nli: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    premises, hypotheses = ["care", "the law is the law and right"], ["what is fair to others", "so", "right"]
    scores = NLIScorer(nli).score(premises, hypotheses)
    model, tokenizer = AutoModelForSequenceClassification.from_pretrained(nli), AutoTokenizer.from_pretrained(nli)
    with torch.inference_mode():
        alone = [
            [float(model(**tokenizer(p, h, return_tensors="pt")).logits.softmax(-1)[0, 2]) for h in hypotheses]
            for p in premises
        ]
    np.testing.assert_allclose(scores, alone, atol=1e-5)
    assert len({round(score, 5) for row in alone for score in row}) == 6


def test_premise_and_hypothesis_are_told_apart(nli: Path) -> None:
    there, back = (NLIScorer(nli).score([one], [other])[0, 0] for one, other in (("care", "law"), ("law", "care")))
    assert abs(there - back) > 1e-4


def test_scores_are_kept_between_runs_under_the_name_of_the_scorer(
    nli: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "deep" / "scores.sqlite"
    first = NLIScorer(nli, kept_in=file).score(["care", "law"], ["so"])
    loaded: list[str] = []
    monkeypatch.setattr("modplural.optimizers.metrics.nli._load", loaded.append)
    later = NLIScorer(nli, kept_in=file).score(["law", "care"], ["so"])
    np.testing.assert_array_equal(later, first[::-1])
    assert loaded == []
    with pytest.raises(TypeError):  # another model has no kept scores, and here it cannot be loaded
        NLIScorer("another/model", kept_in=file).score(["law"], ["so"])
    assert loaded == ["another/model"]


def test_nothing_to_score_has_a_shape() -> None:
    assert NLIScorer("never/loaded").score([], ["a"]).shape == (0, 1)


@pytest.mark.parametrize(
    ("labels", "index"),
    [(LABELS, 2), ({0: "entailment", 1: "not_entailment"}, 0), ({0: "neutral", 1: "Entailment"}, 1)],
)
def test_the_entailment_label_is_found(labels: dict[int, str], index: int) -> None:
    assert entailment_index("some/model", labels) == index


@pytest.mark.parametrize("labels", [{0: "LABEL_0", 1: "LABEL_1"}, {0: "positive", 1: "not_entailment"}])
def test_a_model_without_entailment_is_refused(labels: dict[int, str]) -> None:
    with pytest.raises(ValueError, match=rf"some/model labels its classes \['{labels[0]}'"):
        entailment_index("some/model", labels)
