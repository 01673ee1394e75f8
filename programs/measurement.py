"""How a choice is measured, as data that is learned on a dev set and saved: the strategy and its calibration.

This file must not know predictors or LMs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import is_finite
from .choosing import STRATEGIES

Floats = npt.NDArray[np.float64]

SHARPEST = 64.0
"""Largest sharpness; far above it, all that is left of scores is which of them are extreme."""

LOWEST = -500.0
"""Least score beside one of 0: its probability is next to nothing and yet no veto where distributions are pooled."""

_LARGEST = 1e300
"""Largest power of a distance; differences of larger ones would be no numbers."""

AUTO = "auto"
"""Stands for the best strategy that the backend can measure, until one is chosen on a dev set."""


@dataclass(frozen=True)
class Measurement:
    """How a choice is measured.

    Attributes:
        strategy: Name of a strategy, or "auto".
        temperature: Scores are divided by it before they become probabilities; above 1 flattens.
        bias: Added to the score of an option, by its text; for option sets that stay the same.
        sharpness: Exponent of a score's distance from the expected score, in units of the temperature, with its sign
            kept; `SHARPEST` at most. Above 1, options that score alike become equally likely, and those that stand out
            nearly certain: for LMs whose small differences mean nothing.
    """

    strategy: str = AUTO
    temperature: float = 1.0
    bias: Mapping[str, float] = field(default_factory=dict)
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        names = (AUTO, *STRATEGIES)
        if self.strategy not in names:
            raise ValueError(f"there is no strategy {self.strategy!r}; there are {', '.join(names)}")
        for name in ("temperature", "sharpness"):
            value = getattr(self, name)
            if not is_finite(value) or value <= 0:
                raise ValueError(f"the {name} of a choice is {value!r}; it is a finite number above 0")
        if self.sharpness > SHARPEST:
            raise ValueError(f"the sharpness of a choice is {self.sharpness!r}; it is {SHARPEST:g} at most")
        bias = self.bias.items() if isinstance(self.bias, Mapping) else [(None, None)]
        if not all(isinstance(option, str) and is_finite(value) for option, value in bias):
            raise ValueError(f"the bias of a choice is {self.bias!r}; it has a finite number for some options, by text")

    def probabilities(self, options: Sequence[str], logits: Sequence[float]) -> dict[str, float]:
        """Calibrated probabilities of the options, summing to one.

        Args:
            options: The options as they were given.
            logits: Their scores, of which -inf means never; one at least is finite, and none is NaN or +inf.
        """
        pairs = [(logit, self.bias.get(option, 0.0)) for option, logit in zip(options, logits, strict=True)]
        measured, biases = np.array(pairs, dtype=np.float64).T
        scores = shaped(measured, self.temperature, self.sharpness) + biases
        with np.errstate(over="ignore"):  # biases further apart than any number leave no weight to the smaller
            weights = np.exp(scores - scores.max())
        return dict(zip(options, (weights / weights.sum()).tolist(), strict=True))

    def dump(self) -> dict[str, Any]:
        """The measurement as JSON data."""
        return asdict(self)

    @classmethod
    def load(cls, state: Any) -> Measurement:
        """The measurement of dumped data.

        Raises:
            ValueError: It is no such data.
        """
        names = {"strategy", "temperature", "bias", "sharpness"}
        if not isinstance(state, Mapping) or not names - {"sharpness"} <= set(state) <= names:
            raise ValueError(f"a measurement has a strategy, a temperature, a bias and a sharpness; got {state!r}")
        return cls(**state)  # programs that were saved before there was a sharpness have none


def shaped(scores: Floats, temperature: float, sharpness: float) -> Floats:
    """Scores by a temperature and a sharpness; see `Measurement`.

    Args:
        scores: Natural logarithms up to a common constant, [..., options]; -inf for an option that is never chosen.
        temperature: Above 0.
        sharpness: Above 0; at 1, this is the division by the temperature and no more.

    Returns:
        The same up to a constant, [..., options]; 0 at most, and `LOWEST` at least where a score is finite.
    """
    possible = np.isfinite(scores)
    best = scores.max(axis=-1, keepdims=True)  # taken off before the temperature, which then cannot be too small
    with np.errstate(over="ignore"):
        found = (scores - best) / temperature
    if sharpness != 1:
        found = _powers(np.where(possible, found, 0.0), possible, sharpness)
    return np.where(possible, np.maximum(found, LOWEST), -np.inf)


def _powers(scaled: Floats, possible: npt.NDArray[np.bool_], sharpness: float) -> Floats:
    """Distances from the expected score to a power, less the largest.

    What is expected is told by the probabilities: an option that nobody would choose moves no other one.
    """
    scaled = np.maximum(scaled, -(_LARGEST ** min(1.0, 1 / sharpness)))
    weights = np.where(possible, np.exp(scaled), 0.0)
    expected = (weights * scaled).sum(axis=-1, keepdims=True) / weights.sum(axis=-1, keepdims=True)
    far = np.where(possible, scaled - expected, 0.0)
    powers = np.sign(far) * np.abs(far) ** sharpness
    return np.asarray(powers - np.where(possible, powers, -np.inf).max(axis=-1, keepdims=True))
