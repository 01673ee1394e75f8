"""Gold against predicted over many rows: how often each option is right, and how often it is said.

Options differ from question to question, so distributions are put together by the share that gold gives an option:
where the predicted shares stay flat while gold's rise, a method answers the same whatever is asked. This file
knows records and predictions; it must not know how anything is drawn.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dspy
import numpy as np

EDGES = (0.0, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0)
"""Where the bins of gold shares begin and end; a bin has its lower edge only, and the last one both."""

Answered = Sequence[tuple[dspy.Example, Mapping[str, Any]]]


@dataclass(frozen=True)
class Shares:
    """One line of gold against predicted.

    Attributes:
        label: An option, or a bin of options by their gold share.
        gold: Mean gold share.
        predicted: Mean predicted share.
        n: Number of rows; of options, where the label is a bin.
    """

    label: str
    gold: float
    predicted: float
    n: int


def shares_of(answered: Answered) -> tuple[Shares, ...]:
    """Put answered examples of one task together; empty where they have no options."""
    distributed = [pair for pair in answered if "gold_distribution" in pair[0]]
    return _binned(distributed) if distributed else _labelled([pair for pair in answered if "option" in pair[0]])


def _labelled(answered: Answered) -> tuple[Shares, ...]:
    gold = Counter(str(example.option) for example, _ in answered)
    said = Counter(str(prediction["option"]) for _, prediction in answered)
    labels = dict.fromkeys([option for example, _ in answered for option in example.options])
    return tuple(
        Shares(label, gold[label] / len(answered), said[label] / len(answered), len(answered)) for label in labels
    )


def _binned(answered: Answered) -> tuple[Shares, ...]:
    pairs = np.array(
        [
            (share, prediction["probabilities"][option])
            for example, prediction in answered
            for option, share in example.gold_distribution.items()
            if len(example.gold_distribution) > 1
        ]
    ).reshape(-1, 2)
    numbers = np.minimum(np.digitize(pairs[:, 0], EDGES), len(EDGES) - 1) - 1
    found = ((number, pairs[numbers == number]) for number in range(len(EDGES) - 1))
    return tuple(
        Shares(_label(number), float(members[:, 0].mean()), float(members[:, 1].mean()), len(members))
        for number, members in found
        if len(members)
    )


def _label(number: int) -> str:
    return f"{EDGES[number]:.0%} to {EDGES[number + 1]:.0%}"
