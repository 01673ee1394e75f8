"""A figure: one number over many rows, with how many they were and how sure the number is.

Rows of one situation belong together: they are drawn together, because they are no independent evidence. Intervals are
percentiles of bootstrap resamples (Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13). The
corrected method (BCa) is not taken: it is undefined where every row has the same score, as in tiny samples.
"""

from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Statistic = Callable[[Floats], Floats]
"""How often each row counts, [resamples, rows] -> the figure of each resample, [resamples]."""

RESAMPLES = 2000
CONFIDENCE = 0.95

_ROWS_AT_ONCE = 2_000_000
"""Weights that are drawn at a time: 16 MB."""


@dataclass(frozen=True)
class Figure:
    """One number with its uncertainty.

    Attributes:
        name: What it measures.
        value: The number; NaN where there is no row.
        low: Where its 95% interval begins; NaN where there is no row.
        high: Where it ends.
        n: Number of rows.
        groups: Number of situations that the rows belong to.
        scorer: What scored the rows, where that could have been another one.
    """

    name: str
    value: float
    low: float
    high: float
    n: int
    groups: int
    scorer: str | None = None

    def __str__(self) -> str:
        scored = f", scored by {self.scorer}" if self.scorer else ""
        return f"{self.name} {self.value:.3f} [{self.low:.3f}, {self.high:.3f}] (n={self.n}{scored})"


def estimate(
    name: str, statistic: Statistic, groups: Sequence[Hashable], *, scorer: str | None = None, seed: int = 0
) -> Figure:
    """Make a figure of any statistic of rows.

    Args:
        name: What it measures.
        statistic: The number, where each row counts as often as it is told.
        groups: For each row, the situation that it belongs to.
        scorer: The name of what scored the rows.
        seed: Of the resamples.
    """
    if not groups:
        return Figure(name, float("nan"), float("nan"), float("nan"), 0, 0, scorer)
    value = float(statistic(np.ones((1, len(groups))))[0])
    low, high = interval(resample(statistic, groups, seed))
    return Figure(name, value, low, high, len(groups), len(set(groups)), scorer)


def mean_figure(
    name: str,
    rows: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    *,
    scorer: str | None = None,
    seed: int = 0,
) -> Figure:
    """Make a figure of the mean over rows.

    Args:
        name: What it measures.
        rows: One score each; rows that are NaN are left out.
        groups: For each row, the situation that it belongs to; each to one of its own where it is None.
        scorer: The name of what scored the rows.
        seed: Of the resamples.

    Raises:
        ValueError: There are more rows than groups, or fewer.
    """
    pairs = zip(rows, range(len(rows)) if groups is None else groups, strict=True)
    kept = [(row, group) for row, group in pairs if not np.isnan(row)]
    values = np.array([row for row, _ in kept], dtype=np.float64)
    return estimate(name, mean_of(values), [group for _, group in kept], scorer=scorer, seed=seed)


def mean_of(values: Floats) -> Statistic:
    """The mean of rows as a statistic."""
    return lambda weights: np.asarray(weights @ values / weights.sum(axis=1))


def resample(statistic: Statistic, groups: Sequence[Hashable], seed: int, resamples: int = RESAMPLES) -> Floats:
    """Compute a statistic on resamples in which groups are drawn with replacement.

    Returns:
        [resamples].
    """
    return np.concatenate([statistic(weights) for weights in _weights(groups, seed, resamples)])


def interval(values: Floats) -> tuple[float, float]:
    """The middle 95% of resampled values."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(values, [tail, 1 - tail])
    return float(low), float(high)


def _weights(groups: Sequence[Hashable], seed: int, resamples: int) -> Iterator[Floats]:
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    row_groups = np.array([numbers[group] for group in groups])
    generator = np.random.default_rng(seed)
    chances = np.full(len(numbers), 1 / len(numbers))
    step = max(1, _ROWS_AT_ONCE // len(groups))
    for start in range(0, resamples, step):
        drawn = generator.multinomial(len(numbers), chances, size=min(step, resamples - start))
        yield drawn[:, row_groups].astype(np.float64)
