"""How often a stance is right: accuracy, balanced accuracy and macro-F1, over three stances and over two.

All three are functions of the confusion matrix, which makes thousands of resamples cheap; they agree with
scikit-learn's `accuracy_score`, `balanced_accuracy_score` and `f1_score(average="macro")`.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

from .figures import Figure, Floats, estimate

EITHER = "Either"
"""The stance that binary figures leave out, wherever it is gold or predicted."""


def accuracy(confusion: Floats) -> Floats:
    """Share of rows that are right.

    Args:
        confusion: Number of rows, [..., gold, predicted].

    Returns:
        [...]; NaN where there is no row.
    """
    return _ratio(_hits(confusion).sum(axis=-1), confusion.sum(axis=(-2, -1)))


def balanced_accuracy(confusion: Floats) -> Floats:
    """Mean over the labels that are gold of the share of their rows that are right; shapes as in `accuracy`."""
    return _mean_over_labels(_ratio(_hits(confusion), confusion.sum(axis=-1)))


def macro_f1(confusion: Floats) -> Floats:
    """Mean F1 over the labels that are gold or predicted, each label counting the same; shapes as in `accuracy`."""
    return _mean_over_labels(_ratio(2 * _hits(confusion), confusion.sum(axis=-1) + confusion.sum(axis=-2)))


MEASURES: Mapping[str, Callable[[Floats], Floats]] = {
    "accuracy": accuracy,
    "balanced accuracy": balanced_accuracy,
    "macro-F1": macro_f1,
}


def stance_figures(
    gold: Sequence[str], predicted: Sequence[str], groups: Sequence[Hashable], *, seed: int = 0
) -> dict[str, Figure]:
    """Make the figures of a stance task.

    Args:
        gold: The right stance of each row.
        predicted: The predicted one.
        groups: For each row, the situation that it belongs to.
        seed: Of the resamples.

    Returns:
        By name, each measure over all rows, and as `binary ...` over the rows where neither stance is `Either`; how
        many rows that left out is the difference of their `n`.

    Raises:
        ValueError: The rows are not as many everywhere.
    """
    rows = list(zip(gold, predicted, groups, strict=True))
    clear = [row for row in rows if EITHER not in row[:2]]
    three = {name: _figure(name, measure, rows, seed) for name, measure in MEASURES.items()}
    two = {f"binary {name}": _figure(f"binary {name}", measure, clear, seed) for name, measure in MEASURES.items()}
    return {**three, **two}


def _figure(
    name: str, measure: Callable[[Floats], Floats], rows: Sequence[tuple[str, str, Hashable]], seed: int
) -> Figure:
    labels = sorted({label for gold, predicted, _ in rows for label in (gold, predicted)})
    cells = np.zeros((len(rows), len(labels), len(labels)))
    for number, (gold, predicted, _) in enumerate(rows):
        cells[number, labels.index(gold), labels.index(predicted)] = 1
    return estimate(
        name, lambda weights: measure(np.tensordot(weights, cells, axes=1)), [group for _, _, group in rows], seed=seed
    )


def _hits(confusion: Floats) -> Floats:
    return np.asarray(np.diagonal(confusion, axis1=-2, axis2=-1))


def _ratio(part: Floats, whole: Floats) -> Floats:
    return np.asarray(np.divide(part, whole, out=np.full_like(part, np.nan, dtype=np.float64), where=whole > 0))


def _mean_over_labels(scores: Floats) -> Floats:
    """The mean without the labels that do not occur."""
    return _ratio(np.nansum(scores, axis=-1), np.asarray((~np.isnan(scores)).sum(axis=-1)))
