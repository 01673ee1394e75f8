"""Win, tie or loss against a baseline's response: an LLM judges in both orders, because judges like a place.

A verdict that follows the place and not the response is a tie; how many there are, and which place they like, belongs
beside every win rate (Zheng et al., NeurIPS 2023, arXiv 2306.05685, section 3.4).
"""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass

import dspy

from ...programs.choice import MeasuredChoice
from ...programs.messages import one_line
from ...signatures.judging import Prefer
from .scorers import Memo

FIRST, SECOND = "The first response", "The second response"

OUTCOMES = {"win": 1.0, "tie": 0.5, "loss": 0.0}
"""What each outcome scores."""


@dataclass(frozen=True)
class Verdict:
    """What a judge said of a response and a baseline.

    Attributes:
        shown_first: Probability that the response is preferred where it stands first.
        shown_second: The same where it stands second.
    """

    shown_first: float
    shown_second: float

    @property
    def outcome(self) -> str:
        """`win`, `tie` or `loss` of the response; a tie unless both orders agree."""
        if min(self.shown_first, self.shown_second) > 0.5:
            return "win"
        return "loss" if max(self.shown_first, self.shown_second) < 0.5 else "tie"

    @property
    def score(self) -> float:
        """1 for a win, 0.5 for a tie, 0 for a loss."""
        return OUTCOMES[self.outcome]

    @property
    def place(self) -> str | None:
        """The place, `first` or `second`, that was preferred whatever stood there; None where the response decided."""
        if self.shown_first > 0.5 > self.shown_second:
            return "first"
        return "second" if self.shown_first < 0.5 < self.shown_second else None


@dataclass(frozen=True)
class PositionBias:
    """Share of verdicts that followed a place: the first, the second. Both are NaN where there is no verdict."""

    first: float
    second: float

    @property
    def total(self) -> float:
        """Share of verdicts that followed either place."""
        return self.first + self.second


def position_bias(verdicts: Sequence[Verdict]) -> PositionBias:
    """Say how often a judge followed the place."""
    if not verdicts:
        return PositionBias(float("nan"), float("nan"))
    places = [verdict.place for verdict in verdicts]
    return PositionBias(places.count("first") / len(places), places.count("second") / len(places))


class PairwiseJudge:
    """Compares two responses to a query by a measured choice of an LM; each pair is asked once, in both orders.

    Attributes:
        choice: The predictor that is asked; its instructions, demos and measurement can be compiled.
    """

    def __init__(self, lm: dspy.BaseLM, strategy: str = "auto") -> None:
        """Take a judge.

        Args:
            lm: Any LM that DSPy can call.
            strategy: How the choice is measured; see `MeasuredChoice`.

        Raises:
            ValueError: There is no such strategy.
            CannotMeasureError: The LM's backend cannot measure by it.
        """
        self.choice = MeasuredChoice(Prefer, strategy)
        self.name = f"judge:{lm.model}:{self.choice.strategy_for(lm)}"
        self.lm = lm
        self._judged: Memo[tuple[str, str, str], float] = Memo(self._judge)

    def compare(self, query: str, response: str, baseline: str) -> Verdict:
        """Judge a response against a baseline's; two that are the same tie, and an empty one loses, unasked.

        Raises:
            CannotMeasureError: The LM's replies do not tell; no verdict is made up.
        """
        texts = one_line(response), one_line(baseline)
        if texts[0] == texts[1]:
            return Verdict(0.5, 0.5)
        if not all(texts):
            return Verdict(*[float(bool(texts[0]))] * 2)
        forth, back = self._judged.get([(query, texts[0], texts[1]), (query, texts[1], texts[0])])
        return Verdict(shown_first=forth, shown_second=1 - back)

    def _judge(self, shown: list[tuple[str, str, str]]) -> Sequence[float]:
        with ThreadPoolExecutor(2, thread_name_prefix="modplural-judge") as pool:
            futures = [pool.submit(copy_context().run, self._prefers_first, one) for one in shown]
            return [future.result() for future in futures]

    def _prefers_first(self, shown: tuple[str, str, str]) -> float:
        query, first, second = shown
        # What the judge says counts for whoever asks, and is no part of the trace of a program that is being compiled.
        with dspy.context(lm=self.lm, trace=None):
            asked = self.choice(query=query, first=first, second=second, options=[FIRST, SECOND])
        return float(asked.probabilities[FIRST])
