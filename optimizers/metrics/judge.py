"""An LLM as the judge of whether a sentence follows from a value's explanation: a measured yes or no."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import dspy
import numpy as np

from ...programs.choice import MeasuredChoice
from ...programs.messages import one_line
from ...signatures.judging import TakesUp
from .scorers import Memo, Scores

YES, NO = "Yes", "No"


class JudgeScorer:
    """Scores by the probability that an LM chooses yes; each pair is asked once.

    Attributes:
        choice: The predictor that is asked; its instructions, demos and measurement can be compiled.
    """

    def __init__(self, lm: dspy.BaseLM, strategy: str = "auto", *, workers: int = 8) -> None:
        """Take a judge.

        Args:
            lm: Any LM that DSPy can call.
            strategy: How the choice is measured; see `MeasuredChoice`.
            workers: Pairs under way at the same time; an engine in this process batches them.

        Raises:
            ValueError: There is no such strategy.
            CannotMeasureError: The LM's backend cannot measure by it.
        """
        self.choice = MeasuredChoice(TakesUp, strategy)
        self.name = f"judge:{lm.model}:{self.choice.strategy_for(lm)}"
        self.lm = lm
        self._workers = workers
        self._judged: Memo[tuple[str, str], float] = Memo(self._judge)

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        """Score every hypothesis under every premise.

        Raises:
            CannotMeasureError: The LM's replies do not tell; no score is made up.
        """
        pairs = [(premise, hypothesis) for premise in premises for hypothesis in hypotheses]
        return np.array(self._judged.get(pairs), dtype=np.float64).reshape(len(premises), len(hypotheses))

    def _judge(self, pairs: list[tuple[str, str]]) -> Sequence[float]:
        with ThreadPoolExecutor(self._workers, thread_name_prefix="modplural-judge") as pool:
            futures = [pool.submit(copy_context().run, self._judge_one, pair) for pair in pairs]
            return [future.result() for future in futures]

    def _judge_one(self, pair: tuple[str, str]) -> float:
        # What the judge says counts for whoever asks, and is no part of the trace of a program that is being compiled.
        with dspy.context(lm=self.lm, trace=None):
            asked = self.choice(explanation=one_line(pair[0]), sentence=one_line(pair[1]), options=[YES, NO])
        return float(asked.probabilities[YES])
