"""Scorers say how far a sentence follows from a text; which one a figure was made with is part of the figure.

Figures of different scorers do not compare. This file has the contract and what scorers share; each scorer is a file of
its own (`embedding`, `nli`, `judge`), and what is measured with scores is not known here.
"""

import threading
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Future
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
    """Values that were computed, by key: each is computed once, and threads that ask meanwhile wait for it.

    The oldest are forgotten first when there are too many. What failed is not remembered, and is tried again when it is
    asked for again.
    """

    def __init__(self, compute: Callable[[list[K]], Sequence[V]], size: int = 100_000) -> None:
        """Remember the values of a function.

        Args:
            compute: Gives one value for each of some distinct keys, in their order; called from any thread, and from
                several at the same time for different keys.
            size: How many values are kept.
        """
        self._compute = compute
        self._size = size
        self._values: dict[K, Future[V]] = {}
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._values)

    def get(self, keys: Sequence[K]) -> list[V]:
        """The values of some keys, in their order; those that nobody asked for before are computed in one batch."""
        with self._lock:
            missing = [key for key in dict.fromkeys(keys) if key not in self._values]
            self._values.update((key, Future()) for key in missing)
            wanted = {key: self._values[key] for key in keys}
            for key in list(islice(self._values, max(0, len(self._values) - self._size))):
                del self._values[key]
        # Own keys first: whoever waits for others has none left that others wait for.
        self._fulfil({key: wanted[key] for key in missing})
        return [wanted[key].result() for key in keys]

    def _fulfil(self, promised: dict[K, "Future[V]"]) -> None:
        if not promised:
            return
        try:
            values = self._compute(list(promised))
        except BaseException as error:
            with self._lock:
                for key in [key for key, future in promised.items() if self._values.get(key) is future]:
                    del self._values[key]
            for future in promised.values():
                future.set_exception(error)
            raise
        for future, value in zip(promised.values(), values, strict=True):
            future.set_result(value)
