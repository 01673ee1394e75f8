"""Fits the communities' weights, and chooses between linear and logarithmic pooling.

Both log losses are convex in the weights: minus the logarithm of a linear function for linear pooling, and for
logarithmic pooling a log-sum-exp less a linear function. So there is one optimum on the simplex, and scipy's SLSQP
finds it. The weights are drawn a little to equal ones, which few examples are no reason to leave.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import ClassVar, cast

import dspy
import numpy as np
from scipy.optimize import LinearConstraint, minimize

from ...programs.distributional import METHODS, Distributional
from ...programs.program import Program
from .bench import Row
from .strategy import Strategy, Work
from .voices import Chosen, Floats, chosen, rescored, softmax

PULL = 0.1
"""How strongly weights are drawn to equal ones: nats per square of their distance, once for all examples together."""

_LEAST = 1e-6
"""Weights are scaled to sum to the number of communities; less than this is none."""


class FitWeights(Strategy):
    """Fits weights for both ways to pool on the train examples, and keeps what is best on the dev examples."""

    name: ClassVar = "weights"

    def check(self, student: Program) -> None:
        """Refuse programs that pool nothing."""
        if not isinstance(student, Distributional) or len(student.pool) < 2:
            raise ValueError(
                f"{type(student).__name__} has no weights to fit; 'weights' is for the mode distributional and a pool"
                " of two communities or more"
            )

    def work(self, student: Program, train: int, dev: int) -> Work:
        """All examples once."""
        return Work(train + dev)

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Answer once, and fit."""
        program = cast(Distributional, student)
        rows: list[Row] = []

        def answer() -> list[float]:
            rows.extend(self.bench.answer(program, [*trainset, *valset]))
            return [row.score for row in rows[len(trainset) :]]

        score = self.bench.attempt(self.name, f"{program.pooling.value}, as it was", len(valset), answer)
        self.offer(score, program)
        fitted_on = _complete(chosen(trainset, rows[: len(trainset)]), len(program.pool))
        for method in METHODS if fitted_on else ():
            self._offer(program, method, fit_weights(fitted_on, method), valset, rows[len(trainset) :])
        return self.best

    def _offer(
        self, student: Distributional, method: str, weights: Floats, valset: Sequence[dspy.Example], rows: Sequence[Row]
    ) -> None:
        candidate = cast(Distributional, student.deepcopy())
        candidate.pooling.value = method
        # Around 1 each, since a community that is added later counts 1.
        candidate.pool.weights.update(
            dict(zip(candidate.pool.communities, (weights * len(weights)).tolist(), strict=True))
        )
        metric = self.bench.metric

        def score(one: Chosen) -> float:
            return metric.row(one.example, one.prediction(one.pooled(one.logs, weights, method)))

        answered = _complete(chosen(valset, rows), len(weights))
        shares = ", ".join(f"{name} {w:.2f}" for name, w in zip(candidate.pool.communities, weights, strict=True))
        work = partial(rescored, valset, rows, answered, score)
        self.offer(self.bench.attempt(self.name, f"{method}: {shares}", len(valset), work), candidate)


def fit_weights(examples: Sequence[Chosen], method: str, pull: float = PULL) -> Floats:
    """Weights that minimize the mean log loss of the pooled distribution.

    Args:
        examples: All with the same voices.
        method: `linear` or `logarithmic`.
        pull: See `PULL`.

    Returns:
        [voices], zero or more each, with a sum of one.
    """
    voices = len(examples[0].logs)
    equal = np.full(voices, 1 / voices)
    losses = [_LOSSES[method](one) for one in examples]

    def objective(weights: Floats) -> tuple[float, Floats]:
        parts = [loss(weights) for loss in losses]
        value = float(np.mean([part for part, _ in parts])) + pull / len(examples) * float(
            ((weights - equal) ** 2).sum()
        )
        slope = np.mean([slope for _, slope in parts], axis=0) + 2 * pull / len(examples) * (weights - equal)
        return value, slope

    found = minimize(
        objective,
        equal,
        jac=True,
        method="SLSQP",
        bounds=[(0.0, 1.0)] * voices,
        constraints=LinearConstraint(np.ones(voices), 1.0, 1.0),
        options={"ftol": 1e-12, "maxiter": 500},
    )
    weights = np.where(found.x < _LEAST, 0.0, found.x)
    return np.asarray(weights / weights.sum())


_Loss = Callable[[Floats], tuple[float, Floats]]
"""Weights -> log loss and its gradient."""


def _linear(one: Chosen) -> _Loss:
    voices = np.exp(one.logs)

    def loss(weights: Floats) -> tuple[float, Floats]:
        pooled = np.maximum(weights @ voices, 1e-12)
        return float(-(one.gold * np.log(pooled)).sum()), -(voices @ (one.gold / pooled))

    return loss


def _logarithmic(one: Chosen) -> _Loss:
    def loss(weights: Floats) -> tuple[float, Floats]:
        pooled = softmax(weights @ one.logs)
        return one.log_loss(pooled), one.logs @ (pooled - one.gold)

    return loss


_LOSSES: dict[str, Callable[[Chosen], _Loss]] = {"linear": _linear, "logarithmic": _logarithmic}


def _complete(answered: Sequence[Chosen], voices: int) -> list[Chosen]:
    """Those that every community had a message for."""
    return [one for one in answered if len(one.logs) == voices]
