"""Scorers say how far a sentence follows from a text; which one a figure was made with is part of the figure.

Figures of different scorers do not compare. This file has the contract and what scorers share; each scorer is a file of
its own (`embedding`, `nli`, `judge`), and what is measured with scores is not known here.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from itertools import islice
from typing import Generic, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

Scores = npt.NDArray[np.float64]
"""Scores from 0 to 1, shaped [premises, hypotheses]."""


class Scorer(Protocol):
    """Says how far each hypothesis follows from each premise. It may be called from many threads."""

    @property
    def name(self) -> str:
        """Kind and model, such as `nli:microsoft/deberta-v2-xlarge-mnli`; every figure carries it."""
        ...

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        """Score every hypothesis under every premise.

        Returns:
            [premises, hypotheses], from 0 (does not follow) to 1 (follows).
        """
        ...


class Memo(Generic[K, V]):
    """Values that were computed, by key: each key is computed once, whichever threads ask for it.

    Values are computed in one thread at a time, in batches; the oldest are forgotten first when there are too many.
    """

    def __init__(self, compute: Callable[[list[K]], Sequence[V]], size: int = 100_000) -> None:
        """Remember the values of a function.

        Args:
            compute: Gives one value for each of some distinct keys, in their order.
            size: How many values are kept.
        """
        self._compute = compute
        self._size = size
        self._values: dict[K, V] = {}
        self._lock = threading.Lock()

    def get(self, keys: Sequence[K]) -> list[V]:
        """The values of some keys, in their order; those that are not there are computed in one batch."""
        with self._lock:
            missing = [key for key in dict.fromkeys(keys) if key not in self._values]
            if missing:
                self._values.update(zip(missing, self._compute(missing), strict=True))
            values = [self._values[key] for key in keys]
            for key in list(islice(self._values, max(0, len(self._values) - self._size))):
                del self._values[key]
            return values
