"""Distances between distributions, the likeliest option, and calibration."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from modplural.optimizers.metrics import (
    MAX_DISTANCE,
    calibration_figure,
    expected_calibration_error,
    js_distance,
    js_divergence,
    most_likely_match,
    reliability,
)

SHARES = st.lists(st.floats(0, 1).map(lambda share: round(share, 3)), min_size=2, max_size=6).filter(any)
PAIRS = SHARES.flatmap(
    lambda shares: st.tuples(st.just(shares), st.lists(st.floats(0.001, 1), min_size=len(shares), max_size=len(shares)))
)
CHOICES = st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0.0, 1.0])), min_size=1, max_size=30)


def by_option(shares: list[float]) -> dict[str, float]:
    return {f"option {number}": share for number, share in enumerate(shares)}


def test_distances_by_hand() -> None:
    one, other, even = {"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}, {"a": 0.5, "b": 0.5}
    assert js_distance(one, other) == pytest.approx(MAX_DISTANCE) == pytest.approx(math.sqrt(math.log(2)))
    assert js_divergence(one, other) == pytest.approx(1)
    # M = (3/4, 1/4): D = [ln(4/3) + (ln(2/3) + ln 2) / 2] / 2
    assert js_distance(even, one) ** 2 == pytest.approx((math.log(4 / 3) + (math.log(2 / 3) + math.log(2)) / 2) / 2)
    assert js_distance({"b": 0.2, "a": 0.8}, {"a": 0.8, "b": 0.2}) == 0


@given(PAIRS)
def test_the_distance_is_scipys_and_the_divergence_its_square_in_bits(pair: tuple[list[float], list[float]]) -> None:
    one, other = map(by_option, pair)
    distance = js_distance(one, other)
    assert distance == pytest.approx(float(jensenshannon(*pair)), abs=1e-12) or distance == 0
    assert distance == pytest.approx(js_distance(other, one), abs=1e-7)
    assert 0 <= distance <= MAX_DISTANCE + 1e-12
    assert js_divergence(one, other) == pytest.approx(distance**2 / math.log(2), abs=1e-12)


@given(PAIRS)
def test_the_order_of_options_is_no_matter(pair: tuple[list[float], list[float]]) -> None:
    one, other = map(by_option, pair)
    turned = dict(reversed(list(one.items())))
    assert js_distance(turned, other) == js_distance(one, other)
    assert most_likely_match(turned, other) == most_likely_match(one, other)


@given(SHARES)
def test_the_same_distribution_has_no_distance_and_matches(shares: list[float]) -> None:
    assert js_distance(by_option(shares), by_option(shares)) == 0
    assert most_likely_match(by_option(shares), by_option(shares)) == 1


@pytest.mark.parametrize(
    ("predicted", "gold", "message"),
    [
        ({"a": 1.0}, {"a": 0.5, "b": 0.5}, r"the options are \['a', 'b'\], but the prediction is over \['a'\]"),
        ({"a": -0.1, "b": 1.1}, {"a": 0.5, "b": 0.5}, "predicted probabilities .* are no distribution"),
        ({"a": 0.5, "b": 0.5}, {"a": 0.0, "b": 0.0}, "gold probabilities .* are no distribution"),
        ({"a": math.nan, "b": 0.5}, {"a": 1.0, "b": 0.0}, "are no distribution"),
    ],
)
def test_what_is_no_distribution_over_the_options_is_refused(
    predicted: dict[str, float], gold: dict[str, float], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        js_distance(predicted, gold)
    with pytest.raises(ValueError, match=message):
        most_likely_match(predicted, gold)


@pytest.mark.parametrize(
    ("predicted", "gold", "match"),
    [
        ([0.6, 0.3, 0.1], [0.4, 0.3, 0.3], 1),
        ([0.3, 0.6, 0.1], [0.4, 0.3, 0.3], 0),
        ([0.3, 0.6, 0.1], [0.4, 0.4, 0.2], 1),
        ([0.4, 0.4, 0.2], [0.5, 0.3, 0.2], 0.5),
        ([0.1 + 0.2, 0.3, 0.4], [0.3, 0.3, 0.4], 1),
        ([0.5, 0.1, 0.4], [0.1 + 0.2, 0.3, 0.1], 1),
    ],
)
def test_ties_match(predicted: list[float], gold: list[float], match: float) -> None:
    assert most_likely_match(by_option(predicted), by_option(gold)) == match


def test_one_option_is_no_match_and_no_miss() -> None:
    assert math.isnan(most_likely_match({"a": 1.0}, {"a": 1.0}))


def test_calibration_by_hand() -> None:
    confidences, correct = [0.9, 0.92, 0.55, 0.58], [1.0, 0.0, 1.0, 1.0]
    # Bins of a fifteenth: 0.9 and 0.92 share (13/15, 14/15], 0.55 and 0.58 share (8/15, 9/15].
    assert expected_calibration_error(confidences, correct) == pytest.approx(0.5 * 0.41 + 0.5 * 0.435)
    assert reliability(confidences, correct) == [(2, pytest.approx(0.565), 1.0), (2, pytest.approx(0.91), 0.5)]
    figure = calibration_figure(confidences, correct, range(4))
    assert figure.value == pytest.approx(0.4225)
    assert figure.low <= figure.high


def test_the_edges_have_a_bin() -> None:
    assert expected_calibration_error([0.0, 1.0], [0.0, 1.0]) == 0
    assert math.isnan(expected_calibration_error([], []))
    assert [bin.n for bin in reliability([0.35, 0.4, 0.41], [1.0, 1.0, 1.0])] == [2, 1]  # 0.4 closes (5/15, 6/15]


@given(CHOICES)
def test_calibration_is_at_most_one_and_no_less_than_the_overall_gap(choices: list[tuple[float, float]]) -> None:
    sure, right = [choice[0] for choice in choices], [choice[1] for choice in choices]
    error = expected_calibration_error(sure, right)
    assert abs(np.mean(sure) - np.mean(right)) - 1e-9 <= error <= 1 + 1e-9
    assert error == pytest.approx(expected_calibration_error(sure[::-1], right[::-1]))
    assert sum(bin.n for bin in reliability(sure, right)) == len(choices)


@pytest.mark.parametrize(
    ("sure", "right", "message"), [([0.5], [1.0, 0.0], "1 confidences but 2"), ([1.5], [1.0], r"not \[1\.5\]")]
)
def test_what_is_no_calibration_is_refused(sure: list[float], right: list[float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        expected_calibration_error(sure, right)
