"""The strategies by name, and several of them one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from .copro import Copro
from .fewshot import Bootstrap
from .gepa import Gepa
from .instructions import SearchInstructions
from .measurement import ChooseMeasurement
from .mipro import Mipro
from .strategy import Strategy
from .synthesis import Synthesis
from .weights import FitWeights

STRATEGIES: Mapping[str, type[Strategy]] = MappingProxyType(
    {
        strategy.name: strategy
        for strategy in (
            Bootstrap,
            Mipro,
            Gepa,
            Copro,
            SearchInstructions,
            ChooseMeasurement,
            Synthesis,
            FitWeights,
        )
    }
)
"""Strategy by name."""


def strategies_named(names: str) -> list[type[Strategy]]:
    """The strategies of a sequence such as `synthesis+instructions+bootstrap`, in order.

    Raises:
        ValueError: There is no such strategy.
    """
    wanted = [name.strip() for name in names.split("+")]
    for name in wanted:
        if name not in STRATEGIES:
            raise ValueError(
                f"there is no strategy {name!r}; the strategies are {', '.join(STRATEGIES)}, and sequences of them such"
                " as 'synthesis+instructions'"
            )
    return [STRATEGIES[name] for name in wanted]
