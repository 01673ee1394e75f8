"""A scorer whose scores can be worked out by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from modplural.optimizers.metrics.scorers import Scores


class OverlapScorer:
    """Scores the share of the premise's words that the hypothesis has; remembers how often it was asked."""

    name = "overlap"

    def __init__(self) -> None:
        self.calls = 0

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        self.calls += 1
        return np.array([[_overlap(premise, hypothesis) for hypothesis in hypotheses] for premise in premises])


def _overlap(premise: str, hypothesis: str) -> float:
    wanted = _words(premise)
    return len(wanted & _words(hypothesis)) / len(wanted)


def _words(text: str) -> set[str]:
    return set(text.lower().replace(".", "").split())


@pytest.fixture
def overlap() -> OverlapScorer:
    return OverlapScorer()
