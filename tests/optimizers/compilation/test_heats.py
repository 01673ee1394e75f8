"""A heat leaves out who is certainly worse, and nobody else."""

import math

import dspy
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.compilation.heats import FIRST, heats, still_in

GROUPS = range(FIRST)


def examples(count: int) -> list[dspy.Example]:
    return [dspy.Example(query=f"{number}").with_inputs("query") for number in range(count)]


@given(count=st.integers(0, 200), seed=st.integers(0, 9))
def test_a_heat_is_of_few_and_leaves_the_others(count: int, seed: int) -> None:
    asked = examples(count)
    first, rest = heats(asked, seed)
    assert sorted([*first, *rest], key=id) == sorted(asked, key=id)
    assert len(first) == (FIRST if count >= 2 * FIRST else count)


def test_a_heat_is_drawn_from_all() -> None:
    first, _ = heats(examples(300), 0)
    assert max(int(example.query) for example in first) > 200


def test_who_is_certainly_worse_is_out() -> None:
    close = [0.9] * FIRST
    close[:2] = [1.0, 0.85]
    scores = {"slow": [0.1] * FIRST, "good": [0.9] * FIRST, "close": close, "bad": [0.2, 0.3] * (FIRST // 2)}
    assert still_in(scores, GROUPS, 0) == ["good", "close"]


def test_what_failed_is_left_out_of_the_pairs() -> None:
    unlucky = [math.nan] * (FIRST - 1) + [0.1]
    assert still_in({"good": [0.9] * FIRST, "unlucky": unlucky}, GROUPS, 0) == ["good", "unlucky"]
    assert still_in({"never": [math.nan] * FIRST, "good": [0.9] * FIRST}, GROUPS, 0) == ["never", "good"]
    assert still_in({}, GROUPS, 0) == []


def test_rows_of_one_situation_count_as_one() -> None:
    scores = {"good": [0.9] * FIRST, "bad": [0.1] * FIRST}
    assert still_in(scores, GROUPS, 0) == ["good"]
    assert still_in(scores, [0] * FIRST, 0) == ["good", "bad"]


@given(st.lists(st.floats(0, 1), min_size=FIRST, max_size=FIRST))
def test_equals_stay_together(found: list[float]) -> None:
    assert still_in({"one": found, "other": list(found)}, GROUPS, 0) == ["one", "other"]
