"""Checks of single values."""

import math

import pytest

from modplural.programs.checks import is_finite, shortened


@pytest.mark.parametrize("value", [0, -1.5, 1e308, 10**300])
def test_finite_numbers(value: float) -> None:
    assert is_finite(value)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400, True, "1", None, [1]])
def test_all_else_is_no_finite_number(value: object) -> None:
    assert not is_finite(value)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(3, "3"), ("3", "'3'"), (-(10**400), "a whole number of more than 18 digits"), ("x" * 99, f"'{'x' * 36}...")],
)
def test_values_are_shown_short(value: object, shown: str) -> None:
    assert shortened(value) == shown
