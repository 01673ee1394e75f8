"""How a choice is measured, as data that is learned on a dev set and saved: the strategy and its calibration.

This file must not know predictors or LMs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from .checks import is_finite
from .choosing import STRATEGIES

AUTO = "auto"
"""Stands for the best strategy that the backend can measure, until one is chosen on a dev set."""


@dataclass(frozen=True)
class Measurement:
    """How a choice is measured.

    Attributes:
        strategy: Name of a strategy, or "auto".
        temperature: Scores are divided by it before they become probabilities; above 1 flattens.
        bias: Added to the score of an option, by its text; for option sets that stay the same.
    """

    strategy: str = AUTO
    temperature: float = 1.0
    bias: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = (AUTO, *STRATEGIES)
        if self.strategy not in names:
            raise ValueError(f"there is no strategy {self.strategy!r}; there are {', '.join(names)}")
        if not is_finite(self.temperature) or self.temperature <= 0:
            raise ValueError(f"the temperature of a choice is {self.temperature!r}; it is a finite number above 0")
        bias = self.bias.items() if isinstance(self.bias, Mapping) else [(None, None)]
        if not all(isinstance(option, str) and is_finite(value) for option, value in bias):
            raise ValueError(f"the bias of a choice is {self.bias!r}; it has a finite number for some options, by text")

    def probabilities(self, options: Sequence[str], logits: Sequence[float]) -> dict[str, float]:
        """Calibrated probabilities of the options, summing to one.

        Args:
            options: The options as they were given.
            logits: Their scores, of which -inf means never; one at least is finite, and none is NaN or +inf.
        """
        best = max(logits)  # taken off before the temperature, which then cannot be too small
        scores = np.array(
            [
                (logit - best) / self.temperature + self.bias.get(option, 0.0)
                for option, logit in zip(options, logits, strict=True)
            ]
        )
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
        if not isinstance(state, Mapping) or set(state) != {"strategy", "temperature", "bias"}:
            raise ValueError(f"a measurement has a strategy, a temperature and a bias; got {state!r}")
        return cls(**state)
