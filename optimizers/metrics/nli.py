"""Entailment by an NLI model, as the paper scores value coverage: P(entailment | premise, hypothesis)."""

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from .kept_scores import KeptScores
from .quiet import quiet_loading
from .scorers import Memo, Scores

PAPER_MODEL = "microsoft/deberta-v2-xlarge-mnli"
"""What the paper scores with; 900 million parameters, from the hub."""

_BATCH = 32


class NLIScorer:
    """Scores by a sequence classification model that knows a label for entailment.

    The model is loaded when something is scored for the first time, and every pair is scored once.
    """

    def __init__(self, model: str | Path = PAPER_MODEL, *, kept_in: Path | None = None) -> None:
        """Name a model.

        Args:
            model: A hub id or a folder, of any model of `AutoModelForSequenceClassification`.
            kept_in: A file that keeps scores between runs; none where it is None.
        """
        self.name = f"nli:{model}"
        self._model_name = str(model)
        self._kept = KeptScores(kept_in, self.name) if kept_in is not None else None
        self._loaded: _Classifier | None = None
        # One thread at a time: fast tokenizers cannot be shared, and the model's own threads take all cores anyway.
        self._working = threading.Lock()
        self._entailed: Memo[tuple[str, str], float] = Memo(self._entail)

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        """Score every hypothesis under every premise.

        Raises:
            ValueError: The model has no label for entailment; the message names its labels.
        """
        pairs = [(premise, hypothesis) for premise in premises for hypothesis in hypotheses]
        return np.array(self._entailed.get(pairs), dtype=np.float64).reshape(len(premises), len(hypotheses))

    def _entail(self, pairs: list[tuple[str, str]]) -> Sequence[float]:
        found = self._kept.read(pairs) if self._kept else {}
        missing = [pair for pair in pairs if pair not in found]
        # Pairs of about the same length share a batch, so that little of it is padding.
        missing.sort(key=lambda pair: len(pair[0]) + len(pair[1]))
        for start in range(0, len(missing), _BATCH):
            batch = missing[start : start + _BATCH]
            scored = dict(zip(batch, self._classify(batch), strict=True))
            found.update(scored)
            if self._kept:
                self._kept.add(scored)
        return [found[pair] for pair in pairs]

    def _classify(self, pairs: Sequence[tuple[str, str]]) -> list[float]:
        import torch

        premises, hypotheses = zip(*pairs, strict=True)
        with self._working, torch.inference_mode():
            self._loaded = self._loaded or _load(self._model_name)
            model, tokenizer, entailment = self._loaded
            encoded = tokenizer(list(premises), list(hypotheses), padding=True, truncation=True, return_tensors="pt")
            logits = model(**encoded.to(model.device)).logits
        probabilities: list[float] = logits.float().softmax(dim=-1)[:, entailment].tolist()
        return probabilities


class _Classifier(NamedTuple):
    model: Any
    tokenizer: Any
    entailment: int


def _load(name: str) -> _Classifier:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    with quiet_loading():
        model: Any = AutoModelForSequenceClassification.from_pretrained(name)
        tokenizer = AutoTokenizer.from_pretrained(name)
    entailment = entailment_index(name, model.config.id2label)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return _Classifier(model.to(device).eval(), tokenizer, entailment)


def entailment_index(model: str, labels: Mapping[int, str]) -> int:
    """Find the label for entailment, in whatever case and place a model has it.

    Raises:
        ValueError: No label, or more than one, is called entailment.
    """
    found = [index for index, label in labels.items() if label.lower() == "entailment"]
    if len(found) != 1:
        raise ValueError(
            f"{model} labels its classes {list(labels.values())}, and one of them has to be 'entailment' to score with "
            "it. Name a model that was trained on NLI, or give its config that label"
        )
    return int(found[0])
