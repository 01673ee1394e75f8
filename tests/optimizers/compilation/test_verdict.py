"""How sure a verdict is: sign flips over situations, and a level that falls with the number of candidates."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.compilation.verdict import FEWEST, LEVEL, Proof, chance


def test_of_few_situations_all_flips_are_tried() -> None:
    for groups in range(2, 9):
        assert chance([0.1] * groups, range(groups), 0) == pytest.approx(2.0**-groups)
    assert chance([0.3, -0.1, 0.2], range(3), 0) == pytest.approx(2 / 8)  # +++ and +-+ give as much
    assert chance([0.1] * 12, [number % 3 for number in range(12)], 0) == pytest.approx(1 / 8)


def test_no_difference_is_no_gain() -> None:
    assert chance([0.0] * 9, range(9), 0) == chance([math.nan], [1], 0) == chance([], [], 0) == 1
    assert chance([-0.1] * 9, range(9), 0) == 1


@given(st.lists(st.floats(-1, 1), min_size=2, max_size=8))
def test_one_of_two_opposites_is_likely(gains: list[float]) -> None:
    groups = range(len(gains))
    assert chance(gains, groups, 0) + chance([-gain for gain in gains], groups, 0) >= 1


@pytest.mark.parametrize("candidates", [1, 8])
@pytest.mark.parametrize("situations", [10, 40])
def test_candidates_that_are_no_better_are_seldom_kept(candidates: int, situations: int) -> None:
    """The best of several, chosen on the records that judge it, is kept in one of twenty times at most."""
    generator, kept, times = np.random.default_rng(0), 0, 200
    for _ in range(times):
        gains = generator.normal(0, 0.15, (candidates, situations))
        best = gains[gains.mean(axis=1).argmax()]
        proof = Proof(chance(best.tolist(), range(situations), 0), candidates)
        kept += proof.chance <= proof.level
    assert kept / times <= LEVEL + 0.03


def test_more_candidates_need_more_situations() -> None:
    assert Proof(0.0, 0).fewest == Proof(0.0, 1).fewest == FEWEST
    assert 2.0 ** -Proof(0.0, 10).fewest <= Proof(0.0, 10).level < 2.0 ** -(Proof(0.0, 10).fewest - 1)
    assert str(Proof(0.012, 4)) == "p = 0.012, and of the best of 4 candidates 0.013 is asked for"
