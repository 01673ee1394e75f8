"""The fitted weights are the best on the simplex, for both ways to pool."""

import dspy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.compilation.bench import Row
from modplural.optimizers.compilation.voices import Chosen, chosen, rescored
from modplural.optimizers.compilation.weights import fit_weights
from modplural.programs.distributional import METHODS


def answered(distributions: np.ndarray, gold: np.ndarray) -> Chosen:
    """An example with a distribution for each voice, [voices, options]."""
    options = tuple(f"option {number}" for number in range(distributions.shape[1]))
    equal = np.full(len(distributions), 1 / len(distributions))
    return Chosen(options, np.log(distributions), gold, equal, "linear", dspy.Example())


def log_loss(examples: list[Chosen], weights: np.ndarray, method: str) -> float:
    return float(np.mean([one.log_loss(one.pooled(one.logs, weights, method)) for one in examples]))


@given(st.integers(0, 10_000), st.sampled_from(METHODS))
def test_no_other_weights_do_better(seed: int, method: str) -> None:
    random = np.random.default_rng(seed)
    voices, options, count = random.integers(2, 6), random.integers(2, 5), random.integers(1, 12)
    examples = [
        answered(random.dirichlet(np.ones(options), size=voices), random.dirichlet(np.ones(options)))
        for _ in range(count)
    ]
    weights = fit_weights(examples, method, pull=0.0)

    assert weights.min() >= 0
    assert weights.sum() == pytest.approx(1)
    best = log_loss(examples, weights, method)
    others = [*random.dirichlet(np.ones(voices), size=20), *np.eye(voices)]
    nearby = [0.9 * weights + 0.1 * other for other in others]
    assert all(log_loss(examples, other, method) >= best - 1e-5 for other in [*others, *nearby])


@pytest.mark.parametrize("method", METHODS)
def test_the_voice_that_knows_gets_the_weight(method: str) -> None:
    random = np.random.default_rng(0)
    golds = random.dirichlet(np.ones(3), size=40)
    examples = [answered(np.array([gold, *random.dirichlet(np.ones(3), size=2)]), gold) for gold in golds]
    assert fit_weights(examples, method)[0] > 0.9


@pytest.mark.parametrize("method", METHODS)
def test_where_nothing_is_known_weights_stay_equal(method: str) -> None:
    same = np.array([[0.5, 0.5]] * 4)
    assert fit_weights([answered(same, np.array([1.0, 0.0]))], method) == pytest.approx([0.25] * 4)


def test_a_pull_keeps_a_single_example_from_silencing_anybody() -> None:
    one = answered(np.array([[0.6, 0.4], [0.5, 0.5]]), np.array([1.0, 0.0]))
    assert fit_weights([one], "linear", pull=0.0)[1] == 0
    assert fit_weights([one], "linear")[1] > 0


def test_rows_that_chose_nothing_keep_their_score() -> None:
    examples = [
        dspy.Example(options=["a", "b"], gold_distribution={"a": 1.0, "b": 0.0}),
        dspy.Example(options=["a", "b"], gold_distribution={"a": 0.0, "b": 1.0}),
    ]
    rows = [Row(0.3, dspy.Prediction(probabilities={"a": 0.5, "b": 0.5})), Row(0.8, None)]
    found = chosen(examples, rows)
    assert [one.example is examples[0] for one in found] == [True]
    assert rescored(examples, rows, found, lambda one: 0.1) == [0.1, 0.8]
