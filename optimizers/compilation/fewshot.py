"""Few-shot demos that the program wrote itself: DSPy's BootstrapFewShotWithRandomSearch."""

from __future__ import annotations

from typing import ClassVar

import dspy
from dspy.teleprompt import BootstrapFewShotWithRandomSearch

from ...programs.program import Program
from .dspy_search import DspySearch
from .strategy import Work

_LABELS_ONLY = -2
"""DSPy's number for the candidate with demos from labels alone: records have no messages, so it would have none."""


class Bootstrap(DspySearch):
    """Tries sets of demos: answers to train examples that are good, or among the best that the student gave."""

    name: ClassVar = "bootstrap"

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Train examples once, every set bootstrapped on all of them at the most, and scored on the dev examples."""
        sets = 1 + self.bench.budget.effort.candidates
        return Work((1 + sets) * train + (1 + sets) * dev)

    def optimize(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Run the optimizer."""
        effort = self.bench.budget.effort
        optimizer = BootstrapFewShotWithRandomSearch(
            metric=self.demo_metric(student, trainset),
            max_bootstrapped_demos=effort.demos,
            max_labeled_demos=0,
            num_candidate_programs=effort.candidates,
            num_threads=self.bench.threads,
            max_errors=len(trainset) + len(valset),
        )
        numbers = [number for number in range(-3, effort.candidates) if number != _LABELS_ONLY]
        return optimizer.compile(student, trainset=trainset, valset=valset, restrict=numbers)
