"""Temperatures and biases that were lost are found again."""

import dspy
import numpy as np
import pytest

from modplural.optimizers.compilation.calibration import Calibration, calibrations, score_with
from modplural.optimizers.compilation.trials import mean
from modplural.optimizers.compilation.voices import Chosen, softmax
from modplural.optimizers.metrics import metric_for
from modplural.programs.measurement import Measurement

LABELS = ("Support", "Oppose", "Either")


def labelled(logits: np.ndarray, gold: np.ndarray, options: tuple[str, ...] = LABELS) -> Chosen:
    """One voice's answer; `logits` are [options]."""
    example = dspy.Example(
        option=options[int(gold.argmax())], gold_distribution=dict(zip(options, gold.tolist(), strict=True))
    )
    return Chosen(options, np.log(softmax(logits))[None, :], gold, np.ones(1), "linear", example)


def drawn(count: int, temperature: float, bias: np.ndarray) -> list[Chosen]:
    """Answers that are too sure by `temperature`, and off by `bias`, and what really came out."""
    random = np.random.default_rng(0)
    true = random.normal(size=(count, 3)) * 1.5
    outcomes = [random.choice(3, p=softmax(row)) for row in true]
    return [labelled((row - bias) * temperature, np.eye(3)[one]) for row, one in zip(true, outcomes, strict=True)]


def test_a_temperature_is_found_again() -> None:
    plain = calibrations(drawn(400, 5.0, np.zeros(3)), metric_for("steerable-vk"))[0]
    assert plain.temperature == pytest.approx(5.0, rel=0.2)
    assert not plain.bias


def test_biases_of_fixed_labels_are_found_again() -> None:
    found = calibrations(drawn(600, 2.0, np.array([1.0, -1.0, 0.0])), metric_for("steerable-vk"))[-1]
    assert found.temperature == pytest.approx(2.0, rel=0.25)
    assert [found.bias[label] for label in LABELS] == pytest.approx([1.0, -1.0, 0.0], abs=0.3)


def test_options_that_differ_get_no_bias() -> None:
    examples = [labelled(np.array([2.0, 0.0]), np.array([1.0, 0.0]), (f"{n} a", f"{n} b")) for n in range(3)]
    assert [found.bias for found in calibrations(examples, metric_for("distributional-moralchoice"))] == [{}, {}]


def test_a_sharpness_is_found_where_small_differences_mean_nothing() -> None:
    metric = metric_for("distributional-moralchoice")
    random = np.random.default_rng(0)
    clear, unclear = np.array([1.0, 0.0]), np.array([0.5, 0.5])
    margins = [*random.uniform(0.6, 2.0, 40), *random.uniform(-0.3, 0.3, 40)]
    examples = [
        labelled(np.array([margin, 0.0]), clear if margin > 0.5 else unclear, (f"{place} a", f"{place} b"))
        for place, margin in enumerate(margins)
    ]
    plain, sharp = calibrations(examples, metric)
    losses = [mean([score_with(found, one, metric) for one in examples]) for found in (plain, sharp)]
    assert plain.sharpness == 1 < sharp.sharpness
    assert losses[1] < 0.5 * losses[0]


def test_a_distance_is_minimized_itself() -> None:
    metric = metric_for("distributional-globalopinionqa")
    random = np.random.default_rng(0)
    golds = random.dirichlet([2.0, 2.0], size=30)
    examples = [labelled(4 * np.log(gold), gold, ("yes", "no")) for gold in golds]
    found = calibrations(examples, metric)[0]
    assert found.temperature == pytest.approx(4.0, rel=0.05)
    assert mean([score_with(found, one, metric) for one in examples]) < 0.01


def test_a_calibration_means_what_a_measurement_makes_of_it() -> None:
    one = labelled(np.array([1.0, 2.0, -1.0]), np.array([0.0, 1.0, 0.0]))
    bias = {"Support": 0.5, "Oppose": -0.5, "Either": 0.0}
    measured = Measurement("texts", 2.0, bias).probabilities(LABELS, [1.0, 2.0, -1.0])
    assert Calibration(2.0, bias).apply(one) == pytest.approx(list(measured.values()))
    assert str(Calibration(2.0, bias)) == "temperature 2.00, bias Support +0.50, Oppose -0.50, Either +0.00"
