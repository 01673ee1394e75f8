"""Whether one method is better than another: on the same rows, and corrected for the number of comparisons."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .figures import interval, mean_of, resample

FEWEST = 5
"""Situations without which nothing is said of chance: resamples of one are all alike, and of few almost."""


@dataclass(frozen=True)
class Comparison:
    """The scores of a first method minus those of a second, on the rows that both have.

    Attributes:
        difference: Mean difference; NaN where no row has both.
        low: Where its 95% interval begins.
        high: Where it ends.
        favours_first: Share of the resamples in which the first method does better; those where both do the same count
            half. NaN where there are fewer than `FEWEST` situations.
        p_value: Two-sided, of the hypothesis that the mean difference is zero. NaN where there are fewer situations.
        n: Number of rows.
        groups: Number of situations that the rows belong to.
    """

    difference: float
    low: float
    high: float
    favours_first: float
    p_value: float
    n: int
    groups: int


def compare(
    first: Sequence[float],
    second: Sequence[float],
    groups: Sequence[Hashable] | None = None,
    *,
    higher_is_better: bool = True,
    seed: int = 0,
) -> Comparison:
    """Compare two methods by a paired bootstrap.

    The p-value is the share of resamples whose difference strays from the observed one at least as far as that is from
    zero, with the observation counted among them (Efron and Tibshirani 1993, chapter 16); it is never zero.

    Args:
        first: One score per row, NaN where a row was left out.
        second: The same rows, in the same order.
        groups: For each row, the situation that it belongs to; each to one of its own where it is None.
        higher_is_better: Whether a higher score is the better one.
        seed: Of the resamples.

    Raises:
        ValueError: The rows are not as many on both sides, or not as many as the groups.
    """
    triples = zip(first, second, range(len(first)) if groups is None else groups, strict=True)
    kept = [(one - other, group) for one, other, group in triples if not np.isnan(one - other)]
    if not kept:
        nan = float("nan")
        return Comparison(nan, nan, nan, nan, nan, 0, 0)
    differences = np.array([difference for difference, _ in kept])
    kept_groups = [group for _, group in kept]
    observed = float(differences.mean())
    drawn = resample(mean_of(differences), kept_groups, seed)
    low, high = interval(drawn)
    better = drawn if higher_is_better else -drawn
    # Sums of the same numbers in another order differ in the last digits; those are no evidence.
    tolerance = 1e-12 * max(1.0, float(np.abs(differences).max()))
    strays = int((np.abs(drawn - observed) >= abs(observed) - tolerance).sum())
    groups_seen = len(set(kept_groups))
    if groups_seen < FEWEST:
        return Comparison(observed, low, high, float("nan"), float("nan"), len(kept), groups_seen)
    favours = float((better > tolerance).mean() + (np.abs(better) <= tolerance).mean() / 2)
    p_value = (strays + 1) / (len(drawn) + 1)
    return Comparison(observed, low, high, favours, p_value, len(kept), groups_seen)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Correct the p-values of a table of comparisons for their number (Holm 1979, Scandinavian Journal of Statistics).

    Args:
        p_values: By the comparison's name.

    Returns:
        Adjusted p-values in the same order: those below a level can all be rejected at that level.

    Raises:
        ValueError: One is no probability.
    """
    wrong = {name: value for name, value in p_values.items() if not 0 <= value <= 1}
    if wrong:
        raise ValueError(f"p-values lie between 0 and 1, not {wrong}; leave out comparisons that have no row")
    adjusted: dict[str, float] = {}
    highest = 0.0
    for rank, name in enumerate(sorted(p_values, key=p_values.__getitem__)):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = highest
    return {name: adjusted[name] for name in p_values}
