"""What a program's final choices were made of, as arrays: the distributions of every voice, their weights, and gold.

A distributional program has a voice for each community; every other program that chooses among options has one. Fits of
temperatures, biases and weights are made on these arrays, with no LM asked again. This file knows predictions; it must
not know how anything is fitted.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import dspy
import numpy as np
import numpy.typing as npt

from ...programs.distributional import linear_pool, logarithmic_pool
from .bench import Row

Floats = npt.NDArray[np.float64]

TINY = 1e-12
"""Stands for a probability of zero where a logarithm is taken."""

_POOL: Mapping[str, Callable[..., dict[str, float]]] = {"linear": linear_pool, "logarithmic": logarithmic_pool}


@dataclass(frozen=True)
class Chosen:
    """One answered example.

    Attributes:
        options: As they were given.
        logs: Logarithm of each voice's probabilities, [voices, options].
        gold: Probability of each option, [options].
        weights: Share of each voice, [voices].
        method: How voices are pooled.
        example: What was asked.
    """

    options: tuple[str, ...]
    logs: Floats
    gold: Floats
    weights: Floats
    method: str
    example: dspy.Example

    def pooled(self, logs: Floats, weights: Floats | None = None, method: str | None = None) -> Floats:
        """Pool distributions like these, given as unscaled logarithms, [voices, options] -> [options]."""
        voices = softmax(logs)
        if len(voices) == 1:
            return np.asarray(voices[0])
        names = [str(number) for number in range(len(voices))]
        found = {name: dict(zip(self.options, voice, strict=True)) for name, voice in zip(names, voices, strict=True)}
        shares = dict(zip(names, self.weights if weights is None else weights, strict=True))
        return np.array(list(_POOL[method or self.method](found, shares).values()))

    def log_loss(self, probabilities: Floats) -> float:
        """Cross-entropy of the gold distribution, in nats."""
        return float(-(self.gold * np.log(np.maximum(probabilities, TINY))).sum())

    def prediction(self, probabilities: Floats) -> dspy.Prediction:
        """What the program would have predicted with other probabilities."""
        found = dict(zip(self.options, probabilities.tolist(), strict=True))
        return dspy.Prediction(option=max(found, key=found.__getitem__), probabilities=found)


def chosen(examples: Sequence[dspy.Example], rows: Sequence[Row], method: str | None = None) -> list[Chosen]:
    """What was chosen where something was: examples with gold options, answered with probabilities.

    Args:
        examples: What was asked.
        rows: What was answered.
        method: How voices are to be pooled; as they were where it is None.
    """
    return [
        found if method is None else replace(found, method=method)
        for example, row in zip(examples, rows, strict=True)
        if row.prediction is not None and (found := _chosen(example, row.prediction)) is not None
    ]


def rescored(
    examples: Sequence[dspy.Example],
    rows: Sequence[Row],
    answered: Sequence[Chosen],
    score: Callable[[Chosen], float],
) -> list[float]:
    """The score of every row: a new one where something was chosen, else the old one, so that means compare."""
    anew = {id(one.example): score(one) for one in answered}
    return [anew.get(id(example), row.score) for example, row in zip(examples, rows, strict=True)]


def softmax(logits: Floats) -> Floats:
    """Probabilities of logits along the last axis."""
    scaled = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(scaled / scaled.sum(axis=-1, keepdims=True))


def _chosen(example: dspy.Example, prediction: dspy.Prediction) -> Chosen | None:
    gold = _gold(example)
    if gold is None or len(gold) < 2 or not prediction.get("probabilities"):
        return None
    voices = prediction.get("per_community") or {"": prediction.probabilities}
    shares = prediction.get("weights") or {"": 1.0}
    options = tuple(gold)
    found = np.array([[voice[option] for option in options] for voice in voices.values()])
    weights = np.array([shares[name] for name in voices])
    logs = np.log(np.maximum(found, TINY))
    target = np.array(list(gold.values()), dtype=np.float64)
    return Chosen(options, logs, target / target.sum(), weights, prediction.get("method", "linear"), example)


def _gold(example: dspy.Example) -> dict[str, float] | None:
    if "gold_distribution" in example:
        return dict(example.gold_distribution)
    if "option" in example:
        return {option: float(option == example.option) for option in example.options}
    return None
