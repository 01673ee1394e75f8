"""How near a predicted distribution over options is to gold: Jensen-Shannon distance, and the likeliest option."""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy.spatial.distance import jensenshannon

MAX_DISTANCE = math.sqrt(math.log(2))
"""The distance of two distributions that share no option."""

Distribution = Mapping[str, float]
"""Probability, or any share, by option."""


def js_distance(predicted: Distribution, gold: Distribution) -> float:
    """Jensen-Shannon distance: the square root of the divergence in natural units, as the field reports it.

    Returns:
        From 0 to `MAX_DISTANCE`.

    Raises:
        ValueError: The two are not over the same options, or one is no distribution.
    """
    return _distance(*_aligned(predicted, gold), base=None)


def js_divergence(predicted: Distribution, gold: Distribution) -> float:
    """Jensen-Shannon divergence in bits, from 0 to 1; not a distance, and not to be mixed up with `js_distance`.

    Raises:
        ValueError: As for `js_distance`.
    """
    return _distance(*_aligned(predicted, gold), base=2) ** 2


def most_likely_match(predicted: Distribution, gold: Distribution) -> float:
    """Whether the likeliest option is right.

    Where several are likeliest in the gold distribution, any of them is right. Where several are likeliest in the
    predicted one, the match is the share of them that is right, so that the order of options is no matter.

    Returns:
        1 or 0, or a share between; NaN where there is only one option, for then nothing was chosen.

    Raises:
        ValueError: As for `js_distance`.
    """
    _aligned(predicted, gold)
    if len(gold) == 1:
        return float("nan")
    chosen, right = _likeliest(predicted), _likeliest(gold)
    return len(chosen & right) / len(chosen)


def _aligned(predicted: Distribution, gold: Distribution) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    if set(predicted) != set(gold):
        raise ValueError(f"the options are {list(gold)}, but the prediction is over {list(predicted)}")
    for name, distribution in (("predicted", predicted), ("gold", gold)):
        values = list(distribution.values())
        if not all(math.isfinite(value) and value >= 0 for value in values) or not sum(values) > 0:
            raise ValueError(f"the {name} probabilities {dict(distribution)} are no distribution")
    options = list(gold)
    return np.array([predicted[option] for option in options]), np.array([gold[option] for option in options])


def _distance(predicted: npt.NDArray[np.float64], gold: npt.NDArray[np.float64], base: float | None) -> float:
    with np.errstate(invalid="ignore"):  # rounding can put equal distributions at the root of a number just below zero
        distance = float(jensenshannon(predicted, gold, base))
    return 0.0 if math.isnan(distance) else distance


def _likeliest(distribution: Distribution) -> set[str]:
    highest = max(distribution.values())
    return {option for option, share in distribution.items() if math.isclose(share, highest, rel_tol=1e-9)}
