"""Fits what turns scores into probabilities: a temperature, and where all examples have the same options, a bias each.

Fitted is the mean log loss, or where the task measures distances the mean distance itself. Both are smooth functions of
few numbers, so scipy's general minimizers do. This file knows arrays and metrics; it must not know LMs or programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from ..metrics import TaskMetric
from .trials import mean
from .voices import Chosen, Floats

HOTTEST = 5.0
"""Largest logarithm of a temperature: above e^5 no measured scores make a difference."""

PULL = 0.01
"""How strongly biases are drawn to zero, in nats per square; ten examples tell little about three biases."""


@dataclass(frozen=True)
class Calibration:
    """What scores become probabilities with; see `Measurement`."""

    temperature: float = 1.0
    bias: Mapping[str, float] = field(default_factory=dict)

    def apply(self, one: Chosen) -> Floats:
        """The pooled probabilities, [options]."""
        shift = np.array([self.bias.get(option, 0.0) for option in one.options])
        return one.pooled(one.logs / self.temperature + shift)

    def __str__(self) -> str:
        biases = ", ".join(f"{option} {value:+.2f}" for option, value in self.bias.items())
        return f"temperature {self.temperature:.2f}" + (f", bias {biases}" if biases else "")


def calibrations(examples: Sequence[Chosen], metric: TaskMetric) -> list[Calibration]:
    """Calibrations to choose from: a temperature, and with the same options everywhere, biases as well."""
    loss = _loss(metric)
    found = [_temperature(examples, loss)]
    labels = {one.options for one in examples}
    if len(labels) == 1:
        found.append(_biases(examples, next(iter(labels)), loss))
    return found


def score_with(calibration: Calibration, one: Chosen, metric: TaskMetric) -> float:
    """What the metric would give to an example, in its own unit."""
    return metric.row(one.example, one.prediction(calibration.apply(one)))


Loss = Callable[[Chosen, Floats], float]


def _loss(metric: TaskMetric) -> Loss:
    """Lower is better: the metric where it is a distance, which moves with every probability, else the log loss."""
    if metric.higher_is_better:
        return lambda one, probabilities: one.log_loss(probabilities)
    return lambda one, probabilities: metric.row(one.example, one.prediction(probabilities))


def _mean_loss(calibration: Calibration, examples: Sequence[Chosen], loss: Loss) -> float:
    return mean([loss(one, calibration.apply(one)) for one in examples])


def _temperature(examples: Sequence[Chosen], loss: Loss) -> Calibration:
    def objective(log: float) -> float:
        return _mean_loss(Calibration(float(np.exp(log))), examples, loss)

    # A search in one interval can end in the lesser of two valleys; a grid says which to search.
    grid = np.linspace(-3, HOTTEST, 17)
    lowest = int(np.argmin([objective(log) for log in grid]))
    bounds = (grid[max(0, lowest - 1)], grid[min(len(grid) - 1, lowest + 1)])
    return Calibration(float(np.exp(minimize_scalar(objective, bounds=bounds, method="bounded").x)))


def _biases(examples: Sequence[Chosen], labels: Sequence[str], loss: Loss) -> Calibration:
    def read(numbers: Floats) -> Calibration:
        bias = numbers[1:] - numbers[1:].mean()  # a constant added to all changes nothing
        return Calibration(float(np.exp(numbers[0])), dict(zip(labels, bias.tolist(), strict=True)))

    def objective(numbers: Floats) -> float:
        return _mean_loss(read(numbers), examples, loss) + PULL * float((numbers[1:] ** 2).sum())

    start = np.array([np.log(_temperature(examples, loss).temperature), *(0.0 for _ in labels)])
    bounds = [(-3.0, HOTTEST), *((-10.0, 10.0) for _ in labels)]
    return read(minimize(objective, start, method="L-BFGS-B", bounds=bounds).x)
