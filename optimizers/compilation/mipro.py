"""Instructions that an LM proposes and demos that the program wrote, searched together: DSPy's MIPROv2."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import ClassVar

import dspy
from dspy.teleprompt import MIPROv2

from ...programs.program import Program
from .dspy_search import DspySearch
from .strategy import Work, own_predictors

_SUMMARY_CALLS = 10
"""Calls in which DSPy describes the data and the program to the prompt LM, at the most."""

_CALLS_PER_INSTRUCTION = 3
"""Describing the program, describing the predictor, and proposing."""


class Mipro(DspySearch):
    """Bayesian search over instructions and demos, after Opsahl-Ong et al., EMNLP 2024."""

    name: ClassVar = "mipro"
    needs_prompt_lm: ClassVar = True

    def check(self, student: Program) -> None:
        """Refuse also where the search's own library is missing."""
        super().check(student)
        if find_spec("optuna") is None:
            raise ValueError("the strategy 'mipro' searches with optuna: pip install 'modplural[compile]'")

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Train examples once, bootstrapping, and one scoring for each trial; communities are left alone."""
        sets = self.bench.budget.effort.candidates
        proposed = sets * len(own_predictors(student))
        return Work((1 + sets) * train + (1 + self._trials()) * dev, _SUMMARY_CALLS + _CALLS_PER_INSTRUCTION * proposed)

    def optimize(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Run the optimizer."""
        effort = self.bench.budget.effort
        optimizer = MIPROv2(
            metric=self.demo_metric(student, trainset),
            prompt_model=self.prompt_lm,
            task_model=student.base,
            max_bootstrapped_demos=effort.demos,
            max_labeled_demos=0,
            auto=None,
            num_candidates=effort.candidates,
            num_threads=self.bench.threads,
            max_errors=len(trainset) + len(valset),
            seed=self.bench.seed or 9,  # DSPy takes 0 for "its own", which is 9
            track_stats=False,
        )
        with warnings.catch_warnings():
            # DSPy's own use of optuna; whoever compiles can do nothing about it.
            warnings.filterwarnings("ignore", message=".*is an experimental feature")
            return optimizer.compile(
                student, trainset=trainset, valset=valset, num_trials=self._trials(), minibatch=False
            )

    def _trials(self) -> int:
        return 2 * self.bench.budget.effort.candidates
