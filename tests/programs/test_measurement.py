"""How a choice is measured, as data: calibration, and what makes no sense."""

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.programs.choosing import STRATEGIES
from modplural.programs.measurement import AUTO, Measurement

LOGITS = st.floats(-50.0, 50.0)
ROWS = st.lists(LOGITS, min_size=2, max_size=6)
TEMPERATURES = st.floats(0.05, 20.0)
SHARPNESSES = st.floats(0.5, 16.0)


def names(logits: list[float]) -> list[str]:
    return [f"option {place}" for place in range(len(logits))]


def calibrated(measurement: Measurement, logits: list[float]) -> list[float]:
    return list(measurement.probabilities(names(logits), logits).values())


def test_without_calibration_scores_are_log_probabilities_up_to_a_constant() -> None:
    found = Measurement().probabilities(["tea", "coffee"], [math.log(0.3), math.log(0.1)])
    assert list(found) == ["tea", "coffee"]
    assert found == pytest.approx({"tea": 0.75, "coffee": 0.25})
    assert all(type(value) is float for value in found.values())


@pytest.mark.parametrize(("temperature", "tea"), [(2.0, 3 / 4), (1.0, 9 / 10), (0.5, 81 / 82)])
def test_a_temperature_above_one_flattens(temperature: float, tea: float) -> None:
    found = Measurement(temperature=temperature).probabilities(["tea", "coffee"], [math.log(9), 0.0])
    assert found == pytest.approx({"tea": tea, "coffee": 1 - tea})


def test_a_bias_is_added_by_text_after_the_temperature() -> None:
    biased = Measurement(temperature=2.0, bias={"coffee": math.log(6), "cocoa": 9.0})
    assert biased.probabilities(["tea", "coffee"], [math.log(9), 0.0]) == pytest.approx({"tea": 1 / 3, "coffee": 2 / 3})


def test_a_bias_follows_its_option_wherever_it_stands() -> None:
    biased = Measurement(bias={"coffee": 1.0})
    one = biased.probabilities(["tea", "coffee"], [0.2, 0.1])
    assert biased.probabilities(["coffee", "tea"], [0.1, 0.2]) == pytest.approx(one)


def test_an_option_never_seen_stays_impossible_whatever_its_bias() -> None:
    biased = Measurement(temperature=100.0, bias={"coffee": 50.0})
    assert biased.probabilities(["tea", "coffee"], [-3.0, -math.inf]) == {"tea": 1.0, "coffee": 0.0}


@pytest.mark.parametrize("temperature", [1.0, 1e-300, 5e-324])
@pytest.mark.parametrize("logits", [[-1e5, -2e5], [0.0, -1e308], [1e308, -1e308], [-1e-3, -800.0]])
def test_extreme_scores_neither_overflow_nor_vanish(logits: list[float], temperature: float) -> None:
    assert calibrated(Measurement(temperature=temperature), logits) == pytest.approx([1.0, 0.0])


def test_scores_too_far_below_zero_for_probabilities_are_still_compared() -> None:
    assert calibrated(Measurement(), [-5000.0 + math.log(3), -5000.0]) == pytest.approx([0.75, 0.25])


def test_the_largest_biases_do_not_overflow() -> None:
    biased = Measurement(bias={"tea": 1.7e308, "coffee": -1.7e308})
    assert biased.probabilities(["tea", "coffee"], [0.0, 0.0]) == {"tea": 1.0, "coffee": 0.0}


def test_every_option_has_its_score() -> None:
    with pytest.raises(ValueError, match="argument"):
        Measurement().probabilities(["tea", "coffee", "milk"], [0.0, 1.0])


@given(ROWS, TEMPERATURES, st.lists(LOGITS, min_size=6, max_size=6))
def test_probabilities_sum_to_one(logits: list[float], temperature: float, biases: list[float]) -> None:
    bias = dict(zip(names(logits), biases, strict=False))
    found = calibrated(Measurement(temperature=temperature, bias=bias), logits)
    assert math.isclose(sum(found), 1.0)
    assert all(0.0 <= value <= 1.0 for value in found)


@given(ROWS, st.floats(min_value=5e-324, max_value=1e308))
def test_no_temperature_changes_the_order(logits: list[float], temperature: float) -> None:
    found = calibrated(Measurement(temperature=temperature), logits)
    assert [found[place] for place in sorted(range(len(found)), key=logits.__getitem__)] == sorted(found)
    assert found[logits.index(max(logits))] == max(found)


@given(ROWS, TEMPERATURES, SHARPNESSES)
def test_no_sharpness_changes_the_order_or_makes_an_option_impossible(
    logits: list[float], temperature: float, sharpness: float
) -> None:
    found = calibrated(Measurement(temperature=temperature, sharpness=sharpness), logits)
    assert [found[place] for place in sorted(range(len(found)), key=logits.__getitem__)] == sorted(found)
    assert math.isclose(sum(found), 1.0)
    assert min(found) > 0.0


def test_a_sharpness_makes_small_differences_smaller_and_large_ones_larger() -> None:
    sharp = Measurement(sharpness=4.0)
    assert calibrated(sharp, [1.0, 0.0]) == pytest.approx([0.57, 0.43], abs=0.01)  # 0.73 without
    assert calibrated(sharp, [4.0, 0.0])[0] > 0.999  # 0.98 without


@given(ROWS, st.floats(0.2, 5.0), st.floats(1.0, 16.0))
def test_an_option_that_nobody_would_choose_changes_no_other(
    logits: list[float], temperature: float, sharpness: float
) -> None:
    measurement = Measurement(temperature=temperature, sharpness=sharpness)
    alone = calibrated(measurement, logits)
    *others, hopeless = calibrated(measurement, [*logits, min(logits) - 400.0])
    assert others == pytest.approx(alone, abs=1e-6)
    assert hopeless < 1e-6


def test_an_outlier_leaves_options_that_score_alike_alike() -> None:
    found = Measurement("verdicts", sharpness=2.0).probabilities(["a", "b", "Refused"], [0.0, -0.5, -20.0])
    assert found["a"] == pytest.approx(0.53, abs=0.02)


def test_an_option_that_is_never_chosen_moves_no_other() -> None:
    sharp = Measurement(sharpness=3.0)
    assert calibrated(sharp, [2.0, 0.0, -math.inf]) == pytest.approx([*calibrated(sharp, [2.0, 0.0]), 0.0])


@pytest.mark.parametrize("logits", [[0.0, -1e308], [1e308, -1e308], [-1e-3, -800.0]])
def test_extreme_scores_are_certain_at_any_sharpness(logits: list[float]) -> None:
    assert calibrated(Measurement(temperature=1e-300, sharpness=8.0), logits) == pytest.approx([1.0, 0.0])


def test_what_was_saved_before_there_was_a_sharpness_has_none() -> None:
    assert Measurement.load({"strategy": "letters", "temperature": 2.0, "bias": {}}) == Measurement("letters", 2.0)


@given(ROWS, TEMPERATURES, LOGITS)
def test_a_common_constant_changes_nothing(logits: list[float], temperature: float, constant: float) -> None:
    measurement = Measurement(temperature=temperature)
    shifted = calibrated(measurement, [logit + constant for logit in logits])
    assert shifted == pytest.approx(calibrated(measurement, logits), abs=1e-9)


@given(st.sampled_from([AUTO, *STRATEGIES]), TEMPERATURES, st.dictionaries(st.text(), LOGITS), SHARPNESSES)
def test_a_measurement_survives_json(
    strategy: str, temperature: float, bias: dict[str, float], sharpness: float
) -> None:
    measurement = Measurement(strategy, temperature, bias, sharpness)
    assert Measurement.load(json.loads(json.dumps(measurement.dump()))) == measurement


def test_changing_a_dump_does_not_change_the_measurement() -> None:
    measurement = Measurement(bias={"tea": 1.0})
    measurement.dump()["bias"]["tea"] = 2.0
    assert measurement.bias == {"tea": 1.0}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"strategy": "votes"},
            r"no strategy 'votes'; there are auto, letters, texts, verdicts, channel, sampled, verb",
        ),
        ({"strategy": ["letters"]}, "no strategy"),
        ({"strategy": None}, "no strategy None"),
        ({"temperature": 0.0}, "temperature of a choice is 0.0; it is a finite number above 0"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": math.inf}, "temperature"),
        ({"temperature": math.nan}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"temperature": "1.0"}, "temperature"),
        ({"temperature": None}, "temperature"),
        ({"temperature": 10**400}, "temperature"),
        ({"sharpness": 0}, "sharpness of a choice is 0; it is a finite number above 0"),
        ({"sharpness": math.inf}, "sharpness"),
        ({"sharpness": 65.0}, "sharpness of a choice is 65.0; it is 64 at most"),
        ({"bias": None}, "bias"),
        ({"bias": [["tea", 1.0]]}, "bias"),
        ({"bias": {"tea": math.nan}}, "bias of a choice is {'tea': nan}; it has a finite number"),
        ({"bias": {"tea": -math.inf}}, "bias"),
        ({"bias": {"tea": "much"}}, "bias"),
        ({"bias": {1: 0.5}}, "bias"),
    ],
)
def test_what_makes_no_sense_is_refused_however_it_comes(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Measurement(**fields)
    with pytest.raises(ValueError, match=message):
        Measurement.load({**Measurement().dump(), **fields})


@pytest.mark.parametrize(
    "state",
    [
        None,
        "letters",
        ["strategy", "temperature", "bias"],
        {},
        {"strategy": "letters", "temperature": 1.0},
        {"strategy": "letters", "temperature": 1.0, "bias": {}, "draws": 3},
    ],
)
def test_a_state_has_exactly_the_fields_of_a_measurement(state: Any) -> None:
    with pytest.raises(ValueError, match="a measurement has a strategy, a temperature, a bias and a sharpness; got"):
        Measurement.load(state)
