"""Learned values that are not prompts: saved with a program's state, and found among its parameters.

DSPy's optimizers reset every parameter before they start, in order to forget demos. What was measured on a dev set is
no demo: these parameters keep their value when they are reset, as predictors keep their instructions. This file knows
values; it must not know what they are for.
"""

import math
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from dspy.predict.parameter import Parameter

from .checks import is_finite, shortened


class Setting(Parameter):
    """One of a few named alternatives."""

    def __init__(self, name: str, value: str, valid: Collection[str]) -> None:
        """Start with a value.

        Args:
            name: What errors call the setting.
            value: One of the alternatives.
            valid: The alternatives.
        """
        self.name = name
        self.valid = tuple(valid)
        self.value = value

    @property
    def value(self) -> str:
        """The alternative in use; setting another one checks it."""
        return self._value

    @value.setter
    def value(self, value: str) -> None:
        if value not in self.valid:
            raise ValueError(f"{self.name} cannot be {value!r}; it is one of {', '.join(self.valid)}")
        self._value = value

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The value, as JSON data."""
        return {"value": self.value}

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the value of a dumped state.

        Raises:
            ValueError: The state is no such state, or its value is none of the alternatives.
        """
        if set(state) != {"value"}:
            raise ValueError(f"the state of {self.name} has the keys {sorted(state)}; it has one, 'value'")
        self.value = state["value"]

    def reset(self) -> None:
        """Keep the value; see the head of this file."""


class Weights(Parameter, Mapping[str, float]):
    """How much each of some names counts, relative to the others: zero or more each, and not zero for all.

    A new name counts 1, so learned weights are best kept around 1.
    """

    def __init__(self) -> None:
        """Start without names."""
        self._weights: dict[str, float] = {}

    def __getitem__(self, name: str) -> float:
        return self._weights[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._weights)

    def __len__(self) -> int:
        return len(self._weights)

    def add(self, name: str, weight: float = 1.0) -> None:
        """Weigh a new name, or an old one anew."""
        self._replace({**self._weights, name: weight})

    def remove(self, name: str) -> None:
        """Forget a name.

        Raises:
            ValueError: All that is left weighs zero.
        """
        self._replace({other: weight for other, weight in self._weights.items() if other != name})

    def rename(self, old: str, new: str) -> None:
        """Give a name's weight to another name, in its place."""
        self._weights = {new if name == old else name: weight for name, weight in self._weights.items()}

    def update(self, weights: Mapping[str, float]) -> None:
        """Weigh some or all of the names anew.

        Raises:
            ValueError: A name is not there, or a weight makes no sense.
        """
        unknown = [name for name in weights if name not in self._weights]
        if unknown:
            raise ValueError(f"there are no {unknown} to weigh; the names are {list(self._weights)}")
        self._replace({**self._weights, **weights})

    def shares(self, names: Collection[str]) -> dict[str, float]:
        """The weights of some names, scaled to a sum of one.

        Raises:
            ValueError: None of the names has any weight.
        """
        largest = max((self._weights[name] for name in names), default=0.0)
        if not largest:
            raise ValueError(f"none of {list(names)} has any weight; weights are {self._weights}")
        scaled = {name: self._weights[name] / largest for name in names}  # whose sum cannot overflow
        total = math.fsum(scaled.values())
        return {name: weight / total for name, weight in scaled.items()}

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The weights, as JSON data."""
        return dict(self._weights)

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take the weights of a dumped state.

        Raises:
            ValueError: It weighs other names, or a weight makes no sense.
        """
        if set(state) != set(self._weights):
            raise ValueError(f"the state weighs {sorted(state)}, not {sorted(self._weights)}")
        self._replace({name: state[name] for name in self._weights})

    def reset(self) -> None:
        """Keep the weights; see the head of this file."""

    def _replace(self, weights: dict[str, float]) -> None:
        for name, weight in weights.items():
            if not is_finite(weight) or weight < 0:
                found = shortened(weight)
                raise ValueError(f"the weight of {name!r} is {found}; weights are finite numbers, zero or more")
        if weights and not any(weights.values()):
            raise ValueError(f"all weights are zero ({list(weights)}), so nothing would count; give one of them more")
        self._weights = weights
