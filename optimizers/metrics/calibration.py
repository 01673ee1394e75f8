"""Expected calibration error: whether choices that are made with 80% confidence are right 80% of the time.

As in Guo et al. (ICML 2017, arXiv 1706.04599, equation 3): choices are binned by confidence, the probability of the
chosen option, and the gaps between a bin's mean confidence and its share of right choices are averaged, each bin with
the share of choices in it. The bins are theirs as well, 15 of equal width, so that figures compare; bin k is
(k/15, (k+1)/15], and 0 is in the first.
"""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from .figures import Figure, Floats, Statistic, estimate

BINS = 15


class Bin(NamedTuple):
    """Choices of about the same confidence: how many, how confident and how often right, on average."""

    n: int
    confidence: float
    accuracy: float


def expected_calibration_error(confidences: Sequence[float], correct: Sequence[float]) -> float:
    """Compute the error.

    Args:
        confidences: Of each choice, the probability of the option that was chosen.
        correct: Of each choice, 1 where it was right and 0 where not; a share where it was partly right.

    Returns:
        From 0 to 1; NaN where there is no choice.

    Raises:
        ValueError: There are more of one than of the other, or something is not from 0 to 1.
    """
    gaps = _gaps(confidences, correct)
    return float(_error(gaps)(np.ones((1, len(gaps))))[0]) if len(gaps) else float("nan")


def reliability(confidences: Sequence[float], correct: Sequence[float]) -> list[Bin]:
    """The bins that have choices, by rising confidence, as a reliability diagram shows them; see above for the rest."""
    sure, right, numbers = _binned(confidences, correct)
    found = [numbers == number for number in range(BINS)]
    return [Bin(int(of.sum()), float(sure[of].mean()), float(right[of].mean())) for of in found if of.any()]


def calibration_figure(
    confidences: Sequence[float], correct: Sequence[float], groups: Sequence[Hashable], *, seed: int = 0
) -> Figure:
    """Make a figure of the expected calibration error; `groups` are the situations that choices belong to.

    Raises:
        ValueError: As for `expected_calibration_error`.
    """
    return estimate("expected calibration error", _error(_gaps(confidences, correct)), list(groups), seed=seed)


def _error(gaps: Floats) -> Statistic:
    return lambda weights: np.asarray(np.abs(weights @ gaps).sum(axis=1) / weights.sum(axis=1))


def _gaps(confidences: Sequence[float], correct: Sequence[float]) -> Floats:
    """Confidence minus correctness of each choice, in the column of its bin: [choices, bins]."""
    sure, right, numbers = _binned(confidences, correct)
    return np.asarray((sure - right)[:, None] * np.eye(BINS)[numbers])


def _binned(confidences: Sequence[float], correct: Sequence[float]) -> tuple[Floats, Floats, npt.NDArray[np.int_]]:
    sure, right = np.array(confidences, dtype=np.float64), np.array(correct, dtype=np.float64)
    if sure.shape != right.shape:
        raise ValueError(f"there are {len(sure)} confidences but {len(right)} choices that were right or not")
    for name, values in (("confidences", sure), ("choices", right)):
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(f"{name} lie between 0 and 1, not {values[~((values >= 0) & (values <= 1))].tolist()}")
    return sure, right, np.maximum(np.ceil(sure * BINS).astype(np.int_) - 1, 0)
