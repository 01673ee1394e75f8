"""How much a compilation may do: an effort, which strategies read as numbers of candidates, and a limit of LM calls.

This file must not know what a strategy does with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Effort:
    """How hard a strategy searches.

    Attributes:
        candidates: Candidates that a search looks at, at a time.
        rounds: How often a search that builds on its results begins anew.
        demos: Most demos of one predictor.
    """

    candidates: int
    rounds: int
    demos: int


EFFORTS: Mapping[str, Effort] = MappingProxyType(
    {"light": Effort(4, 1, 2), "medium": Effort(8, 2, 3), "heavy": Effort(16, 3, 4)}
)


@dataclass(frozen=True)
class Budget:
    """What a compilation may spend.

    Attributes:
        level: `light`, `medium` or `heavy`: how hard strategies search.
        max_calls: Most LM calls of the whole compilation, those of the final scores among them; no limit when None.
            Answers from DSPy's cache are no calls.

    Raises:
        ValueError: There is no such level, or the limit is less than 1.
    """

    level: str = "light"
    max_calls: int | None = None

    def __post_init__(self) -> None:
        if self.level not in EFFORTS:
            raise ValueError(f"there is no budget {self.level!r}; the budgets are {', '.join(EFFORTS)}")
        if self.max_calls is not None and self.max_calls < 1:
            raise ValueError(f"max_calls is {self.max_calls}; it is a number of LM calls, 1 or more")

    @property
    def effort(self) -> Effort:
        """What the level means."""
        return EFFORTS[self.level]
