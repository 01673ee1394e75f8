"""Advice that `dspy.Refine` gives a predictor for its next try.

Refine hands it over by wrapping the adapter that DSPy is configured with. Our programs bring an adapter of their own,
so the advice is taken out of the wrapper and put to the predictor as one more input. This file knows how Refine gives
advice; it must not know who asks for it.
"""

from collections.abc import Mapping
from typing import Any

import dspy

_FIELD = "hint_"
"""The input's name, as Refine has it."""

_REFINE = "dspy.predict.refine"


def advised(predictor: dspy.Module, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a predictor's call, with the advice that there is for it."""
    advice = _advice(predictor)
    if advice is None or not isinstance(predictor, dspy.Predict):
        return dict(inputs)
    field = dspy.InputField(desc="advice after an earlier try")
    return {**inputs, _FIELD: advice, "signature": predictor.signature.append(_FIELD, field)}


def _advice(predictor: dspy.Module) -> str | None:
    """What Refine would add to the inputs; nothing outside of Refine, and where it blames others."""
    wrapper = dspy.settings.adapter
    if type(wrapper).__module__ != _REFINE:
        return None
    added: dict[str, Any] = {}
    try:
        wrapper(None, {}, predictor.signature, [], added)  # it adds the advice first, and then finds no LM to ask
    except Exception:
        return _given(added.get(_FIELD))
    return None


def _given(advice: object) -> str | None:
    return advice if isinstance(advice, str) and advice.strip() not in ("", "N/A") else None
