"""Instructions that an LM proposes, and proposes anew in view of how the earlier ones scored: DSPy's COPRO."""

from __future__ import annotations

from typing import ClassVar

import dspy
from dspy.teleprompt import COPRO

from ...programs.program import Program
from .dspy_search import DspySearch
from .strategy import Work, own_predictors


class Copro(DspySearch):
    """Coordinate ascent over instructions. COPRO knows one set of examples: it scores on the dev examples."""

    name: ClassVar = "copro"
    needs_prompt_lm: ClassVar = True

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Every candidate of every predictor scored in every round, with those of the rounds before."""
        effort = self.bench.budget.effort
        predictors = len(own_predictors(student))
        scored = predictors * sum(effort.candidates * (turn + 1) for turn in range(effort.rounds))
        return Work(scored * dev, predictors * effort.candidates * effort.rounds)

    def optimize(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Run the optimizer."""
        effort = self.bench.budget.effort
        optimizer = COPRO(
            prompt_model=self.prompt_lm, metric=self.bench.objective, breadth=effort.candidates, depth=effort.rounds
        )
        settings = {"num_threads": self.bench.threads, "display_progress": False}
        return optimizer.compile(student, trainset=valset, eval_kwargs=settings)
