"""Figures and their intervals, by hand and by property."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modplural.optimizers.metrics import compare, holm, mean_figure

SCORES = st.lists(st.floats(0, 1), min_size=1, max_size=12)


def test_a_figure_says_what_it_rests_on() -> None:
    figure = mean_figure("coverage", [0.0, 1.0, math.nan, 1.0], ["a", "a", "b", "c"], scorer="overlap")
    assert figure.value == pytest.approx(2 / 3)
    assert (figure.n, figure.groups, figure.scorer) == (3, 2, "overlap")
    assert str(figure) == f"coverage 0.667 [{figure.low:.3f}, {figure.high:.3f}] (n=3, scored by overlap)"


def test_no_row_has_no_figure() -> None:
    figure = mean_figure("x", [math.nan])
    assert all(map(math.isnan, (figure.value, figure.low, figure.high)))
    assert (figure.n, figure.groups) == (0, 0)


def test_the_interval_of_a_mean_is_as_wide_as_theory_has_it() -> None:
    rows = np.random.default_rng(0).normal(size=400)
    figure = mean_figure("x", rows.tolist())
    half = 1.96 * rows.std() / 20
    assert (figure.low, figure.high) == pytest.approx((rows.mean() - half, rows.mean() + half), abs=0.01)


def test_rows_of_one_situation_are_no_further_evidence() -> None:
    rows = [0.0, 1.0, 1.0, 0.0, 1.0]
    once = mean_figure("x", rows, range(5))
    repeated = mean_figure(
        "x", [row for row in rows for _ in range(10)], [group for group in range(5) for _ in range(10)]
    )
    assert (once.low, once.high) == pytest.approx((repeated.low, repeated.high))
    assert repeated.n == 50


@settings(max_examples=20)
@given(SCORES)
def test_the_interval_lies_within_the_rows_and_is_the_same_each_time(rows: list[float]) -> None:
    figure = mean_figure("x", rows)
    assert figure == mean_figure("x", rows)
    assert min(rows) - 1e-9 <= figure.low <= figure.high <= max(rows) + 1e-9


def test_many_rows_are_drawn_in_parts() -> None:
    figure = mean_figure("x", [0.0, 1.0] * 3000)
    assert figure.value == 0.5
    assert 0.48 < figure.low < 0.5 < figure.high < 0.52


def test_a_clear_difference_is_found() -> None:
    first, second = [0.6, 0.7, 0.9, 0.8, 0.7, 0.6, math.nan], [0.1, 0.3, 0.4, 0.2, 0.1, 0.2, 0.5]
    found = compare(first, second)
    assert found.difference == pytest.approx(0.5)
    assert 0.4 < found.low < found.high < 0.6
    assert found.favours_first == 1
    assert found.p_value < 0.01
    assert found.n == found.groups == 6
    assert compare(first, second, higher_is_better=False).favours_first == 0


def test_methods_that_do_the_same_do_not_differ() -> None:
    found = compare([0.1, 0.2, 0.3, 0.4, 0.5], [0.1, 0.2, 0.3, 0.4, 0.5])
    assert (found.difference, found.favours_first, found.p_value) == (0, 0.5, 1)


def test_nothing_to_compare_is_no_difference() -> None:
    found = compare([math.nan, 0.1], [0.1, math.nan])
    assert math.isnan(found.difference)
    assert math.isnan(found.p_value)
    assert found.n == 0


def test_rows_that_do_not_belong_together_are_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        compare([0.1, 0.2], [0.1])


def test_one_situation_with_many_rows_proves_nothing() -> None:
    alike = compare([1.0] * 20, [0.0] * 20, ["a"] * 20)
    assert alike.groups == 1
    assert math.isnan(alike.p_value) and math.isnan(alike.favours_first), "nothing is known of chance"
    mixed = compare([1.0] * 20 + [0.0] * 4, [0.0] * 20 + [1.0] * 4, ["a"] * 20 + ["b", "c", "d", "e"])
    assert mixed.p_value > 0.1


@settings(max_examples=20)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=5, max_size=10))
def test_the_other_way_round_is_the_mirror_image(pairs: list[tuple[float, float]]) -> None:
    first, second = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    here, there = compare(first, second), compare(second, first)
    assert here.difference == -there.difference
    assert here.p_value == there.p_value
    assert (here.low, here.high) == pytest.approx((-there.high, -there.low), abs=1e-9)
    assert here.favours_first + there.favours_first == pytest.approx(1)


def test_a_difference_by_chance_is_found_as_often_as_the_level_says() -> None:
    generator = np.random.default_rng(1)
    found = [compare(generator.normal(size=60).tolist(), [0.0] * 60).p_value < 0.05 for _ in range(200)]
    assert 0.01 <= np.mean(found) <= 0.1


def test_holm_by_hand() -> None:
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005}) == pytest.approx(
        {"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02}
    )
    assert holm({}) == {}
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}


def test_holm_refuses_what_is_no_probability() -> None:
    with pytest.raises(ValueError, match=r"not \{'b': nan\}"):
        holm({"a": 0.1, "b": math.nan})


@given(st.dictionaries(st.text(max_size=3), st.floats(0, 1), min_size=1))
def test_holm_keeps_order_and_never_lowers(p_values: dict[str, float]) -> None:
    adjusted = holm(p_values)
    assert list(adjusted) == list(p_values)
    assert all(p_values[name] <= adjusted[name] <= 1 for name in p_values)
    ranked = sorted(p_values, key=p_values.__getitem__)
    assert all(adjusted[low] <= adjusted[high] for low, high in pairwise(ranked))
