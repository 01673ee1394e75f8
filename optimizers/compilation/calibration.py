"""Fits what turns scores into probabilities: a temperature, a sharpness, and where options stay the same a bias each.

Fitted is the mean log loss, or where the task measures distances the mean distance itself. Both are smooth functions of
few numbers, so scipy's general minimizers do. This file knows arrays and metrics; it must not know LMs or programs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import minimize, minimize_scalar

from ...programs.measurement import shaped
from ..metrics import TaskMetric
from .trials import mean
from .voices import Chosen, Floats

COLDEST, HOTTEST = -3.0, 5.0
"""Logarithms of temperatures: above e^5 no measured scores make a difference, and below e^-3 all of them do."""

SHARPNESSES = (1.0, 2.0, 4.0, 8.0)
"""Those that are tried; at 8, a score below the temperature says nothing and one above it all but everything."""

PULL = 0.01
"""How strongly biases are drawn to zero, in nats per square; ten examples tell little about three biases."""


@dataclass(frozen=True)
class Calibration:
    """What scores become probabilities with; see `Measurement`."""

    temperature: float = 1.0
    bias: Mapping[str, float] = field(default_factory=dict)
    sharpness: float = 1.0

    def apply(self, one: Chosen) -> Floats:
        """The pooled probabilities, [options]."""
        shift = np.array([self.bias.get(option, 0.0) for option in one.options])
        return one.pooled(shaped(one.logs, self.temperature, self.sharpness) + shift)

    def __str__(self) -> str:
        biases = ", ".join(f"{option} {value:+.2f}" for option, value in self.bias.items())
        sharpness = "" if self.sharpness == 1 else f", sharpness {self.sharpness:g}"
        return f"temperature {self.temperature:.2f}{sharpness}" + (f", bias {biases}" if biases else "")


def calibrations(examples: Sequence[Chosen], metric: TaskMetric) -> list[Calibration]:
    """Calibrations to choose from: a temperature, one with a sharpness, and for options that stay the same biases."""
    loss = _loss(metric)
    plain, *sharp = (_temperature(examples, loss, sharpness) for sharpness in SHARPNESSES)
    found = [plain, min(sharp, key=lambda one: _mean_loss(one, examples, loss))]
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


def _temperature(examples: Sequence[Chosen], loss: Loss, sharpness: float = 1.0) -> Calibration:
    def at(log: float) -> Calibration:
        return Calibration(float(np.exp(log)), sharpness=sharpness)

    def objective(log: float) -> float:
        return _mean_loss(at(log), examples, loss)

    # A search in one interval can end in the lesser of several valleys; a grid says which to search.
    grid = np.linspace(COLDEST, HOTTEST, 17)
    lowest = int(np.argmin([objective(log) for log in grid]))
    bounds = (grid[max(0, lowest - 1)], grid[min(len(grid) - 1, lowest + 1)])
    return at(float(minimize_scalar(objective, bounds=bounds, method="bounded").x))


def _biases(examples: Sequence[Chosen], labels: Sequence[str], loss: Loss) -> Calibration:
    def read(numbers: Floats) -> Calibration:
        bias = numbers[1:] - numbers[1:].mean()  # a constant added to all changes nothing
        return Calibration(float(np.exp(numbers[0])), dict(zip(labels, bias.tolist(), strict=True)))

    def objective(numbers: Floats) -> float:
        return _mean_loss(read(numbers), examples, loss) + PULL * float((numbers[1:] ** 2).sum())

    start = np.array([np.log(_temperature(examples, loss).temperature), *(0.0 for _ in labels)])
    bounds = [(COLDEST, HOTTEST), *((-10.0, 10.0) for _ in labels)]
    return read(minimize(objective, start, method="L-BFGS-B", bounds=bounds).x)
