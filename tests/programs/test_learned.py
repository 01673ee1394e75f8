"""Learned values: checked when set or loaded, saved as JSON, and kept when an optimizer resets everything."""

import json
import math
import sys
from typing import Any

import dspy
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from modplural.programs.learned import Setting, Weights


class Holder(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        self.method = Setting("the method", "linear", ("linear", "logarithmic"))
        self.weights = Weights()
        self.weights.add("care")
        self.weights.add("liberty", 3.0)


def test_a_setting_is_one_of_its_alternatives() -> None:
    setting = Setting("the method", "linear", ("linear", "logarithmic"))
    setting.value = "logarithmic"
    assert setting.value == "logarithmic"
    with pytest.raises(ValueError, match="the method cannot be 'cubic'; it is one of linear, logarithmic"):
        setting.value = "cubic"
    assert setting.value == "logarithmic"


def test_values_survive_saving_and_every_reset() -> None:
    learned = Holder()
    learned.method.value = "logarithmic"
    learned.weights.update({"care": 2})
    state = json.loads(json.dumps(learned.dump_state()))
    fresh = Holder()
    fresh.load_state(state)
    assert (fresh.method.value, dict(fresh.weights)) == ("logarithmic", {"care": 2, "liberty": 3.0})
    reset = fresh.reset_copy()
    assert reset.dump_state() == state
    reset.weights.update({"care": 5})
    assert fresh.weights["care"] == 2


@pytest.mark.parametrize("state", [{"value": "cubic"}, {"value": None}, {}, {"value": "linear", "more": 1}])
def test_a_setting_refuses_a_state_that_is_none(state: dict[str, Any]) -> None:
    setting = Setting("the method", "logarithmic", ("linear", "logarithmic"))
    with pytest.raises(ValueError, match="the method"):
        setting.load_state(state)
    assert setting.value == "logarithmic"


def test_shares_are_scaled_to_those_who_are_there() -> None:
    weights = Holder().weights
    assert weights.shares(["care", "liberty"]) == {"care": 0.25, "liberty": 0.75}
    assert weights.shares(["care"]) == {"care": 1.0}
    weights.update({"care": 0})
    with pytest.raises(ValueError, match=r"none of \['care'\] has any weight"):
        weights.shares(["care"])


@given(weights=st.lists(st.floats(0, sys.float_info.max), min_size=1, max_size=9).filter(any))
@example(weights=[1e308, 1e308, 5e-324])
@example(weights=[5e-324, 5e-324])
def test_shares_of_any_weights_sum_to_one(weights: list[float]) -> None:
    weighed = Weights()
    for place, weight in enumerate(weights):
        weighed.add(str(place), weight or 1.0)
    weighed.update({str(place): weight for place, weight in enumerate(weights)})
    shares = weighed.shares(list(weighed))
    assert math.fsum(shares.values()) == pytest.approx(1.0)
    assert all(share >= 0 for share in shares.values())


def test_a_renamed_weight_keeps_its_place() -> None:
    weights = Holder().weights
    weights.rename("care", "kindness")
    assert list(weights.items()) == [("kindness", 1.0), ("liberty", 3.0)]


@pytest.mark.parametrize("weight", [-1.0, math.nan, math.inf, "1", None, True, 10**400])
def test_weights_that_make_no_sense_are_refused(weight: Any) -> None:
    weights = Holder().weights
    for change in (weights.update, weights.load_state):
        with pytest.raises(ValueError, match=r"the weight of 'care' is .*; weights are finite numbers, zero or more"):
            change({"care": weight, "liberty": 1.0})
    assert weights["care"] == 1.0


def test_weights_name_everybody_and_nobody_else() -> None:
    weights = Holder().weights
    with pytest.raises(ValueError, match=r"there are no \['elders'\] to weigh; the names are \['care', 'liberty'\]"):
        weights.update({"elders": 1.0})
    with pytest.raises(ValueError, match=r"the state weighs \['care'\], not \['care', 'liberty'\]"):
        weights.load_state({"care": 1.0})
    with pytest.raises(ValueError, match="all weights are zero"):
        weights.update({"care": 0, "liberty": 0})
