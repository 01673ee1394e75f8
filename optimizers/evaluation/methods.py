"""The methods that are evaluated beside one another, by name.

This file knows which programs there are; it must not know tasks' records or how programs are run.
"""

from collections.abc import Iterable, Mapping

import dspy

from ...programs.baselines import MixtureOfExperts
from ...programs.mode import Mode
from ...programs.pool import CommunityPool
from ...programs.program import Program
from ...programs.saving import PROGRAMS

MODULAR = "modular"
"""The mode of the task."""

REFERENCE = "prompted"
"""What all others are compared with."""

METHODS = ("vanilla", REFERENCE, "mixture_of_experts", MODULAR)


def make_methods(names: Iterable[str], mode: str, base: dspy.LM, pool: CommunityPool) -> Mapping[str, Program]:
    """Make the programs of some methods for a mode, as they are before anything is compiled.

    Raises:
        ValueError: There is no such method.
    """
    return {name: _make(name, mode, base, pool) for name in names}


def _make(name: str, mode: str, base: dspy.LM, pool: CommunityPool) -> Program:
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}; the methods are {', '.join(METHODS)}")
    kind = PROGRAMS[mode if name == MODULAR else name]
    return kind(base, pool) if issubclass(kind, Mode | MixtureOfExperts) else kind(base)
