"""A task's primary figure for each population by itself: each group, country, value or degree of ambiguity.

A mean over all hides who is answered for badly. This file knows examples and scores, and no task.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..data.drawing import part_of
from .metrics import Figure, TaskMetric, mean_figure
from .metrics.task_metric import Examples

FEWEST = 5
"""Parts of fewer rows are no worst and no best: a single answer would decide that."""


@dataclass(frozen=True)
class Extremes:
    """The parts that do worst and best, those worst and best first, and how many were too small to be either."""

    worst: Mapping[str, Figure]
    best: Mapping[str, Figure]
    small: int


def breakdown(metric: TaskMetric, examples: Examples, rows: Sequence[float]) -> dict[str, Figure]:
    """Make the primary figure of each part.

    Args:
        metric: What scored the rows.
        examples: As many as rows.
        rows: One score each; those that are NaN are left out.

    Returns:
        By part, the worst first; parts without a score come last. Empty where examples are about nobody in particular.
    """
    parts: dict[str, list[int]] = defaultdict(list)
    for number, example in enumerate(examples):
        if (part := part_of(example)) is not None:
            parts[part].append(number)
    groups = metric.groups(examples)
    figures = {
        part: mean_figure(metric.primary, [rows[number] for number in numbers], [groups[number] for number in numbers])
        for part, numbers in parts.items()
    }
    sign = 1 if metric.higher_is_better else -1
    return dict(sorted(figures.items(), key=lambda found: (found[1].n == 0, sign * found[1].value, found[0])))


def extremes(parts: Mapping[str, Figure], count: int = 5) -> Extremes:
    """Choose from a breakdown a few worst and best parts, none of them twice."""
    large = [(part, figure) for part, figure in parts.items() if figure.n >= FEWEST]
    count = min(count, (len(large) + 1) // 2)
    best = large[max(count, len(large) - count) :]
    return Extremes(dict(large[:count]), dict(reversed(best)), len(parts) - len(large))
