"""Accuracies and F1, by hand and beside scikit-learn."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modplural.optimizers.metrics import stance_figures
from modplural.optimizers.metrics.stance import MEASURES

sklearn = pytest.importorskip("sklearn.metrics")

LABELS = ("Support", "Oppose", "Either")
PAIRS = st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30)


def test_three_ways_and_two_by_hand() -> None:
    gold = ["Support", "Support", "Support", "Oppose", "Either", "Oppose"]
    predicted = ["Support", "Support", "Oppose", "Oppose", "Support", "Either"]
    figures = stance_figures(gold, predicted, range(6))
    assert figures["accuracy"].value == 3 / 6
    assert figures["balanced accuracy"].value == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert figures["macro-F1"].value == pytest.approx((4 / 6 + 2 / 4 + 0) / 3)
    assert figures["binary accuracy"].value == 3 / 4
    assert figures["binary balanced accuracy"].value == pytest.approx((2 / 3 + 1) / 2)
    assert figures["binary macro-F1"].value == pytest.approx((4 / 5 + 2 / 3) / 2)
    assert [figure.n for figure in figures.values()] == [6, 6, 6, 4, 4, 4]


def test_where_everything_is_either_there_is_no_binary_figure() -> None:
    figures = stance_figures(["Either"], ["Support"], [0])
    assert figures["accuracy"].value == 0
    assert figures["binary accuracy"].n == 0
    assert math.isnan(figures["binary macro-F1"].value)


@given(PAIRS)
def test_they_agree_with_scikit_learn(pairs: list[tuple[str, str]]) -> None:
    gold, predicted = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    confusion = np.array([[sum(pair == (g, p) for pair in pairs) for p in LABELS] for g in LABELS], dtype=float)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn remarks on labels that are predicted and never gold
        expected = {
            "accuracy": sklearn.accuracy_score(gold, predicted),
            "balanced accuracy": sklearn.balanced_accuracy_score(gold, predicted),
            "macro-F1": sklearn.f1_score(gold, predicted, average="macro", zero_division=0),
        }
    for name, measure in MEASURES.items():
        assert float(measure(confusion)) == pytest.approx(expected[name], abs=1e-12)


@settings(max_examples=20)
@given(PAIRS)
def test_figures_lie_within_bounds_and_rows_have_no_order(pairs: list[tuple[str, str]]) -> None:
    figures = stance_figures(*zip(*pairs, strict=True), groups=range(len(pairs)))
    turned = stance_figures(*zip(*reversed(pairs), strict=True), groups=range(len(pairs)))
    for name, figure in figures.items():
        assert figure.value == pytest.approx(turned[name].value, nan_ok=True)
        assert figure.n == 0 or 0 <= figure.low <= figure.high <= 1
