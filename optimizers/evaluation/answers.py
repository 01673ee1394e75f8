"""Predictions as JSON data and back, for the file of an evaluation and for reports.

This file must not know what a program or a metric makes of a prediction.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

import dspy


def as_json(prediction: dspy.Prediction) -> dict[str, Any]:
    """All that a prediction says: its fields, with messages and sentences as objects of community and text.

    Raises:
        ValueError: Something in it is no JSON data, such as a probability that is not a number.
    """
    return {str(name): _plain(value) for name, value in prediction.items()}


def as_prediction(data: Mapping[str, Any]) -> dspy.Prediction:
    """The prediction that metrics read; what it heard stays JSON data."""
    return dspy.Prediction(**data)


def _plain(value: Any) -> Any:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return float(value)
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _plain(asdict(value))
    raise ValueError(f"the prediction holds {value!r}, which is no JSON data; a program's answer is texts and numbers")
