"""Chooses how Overton synthesizes: every strategy is tried on the dev examples, and the best is kept."""

from __future__ import annotations

from typing import ClassVar, cast

import dspy

from ...programs.overton import Overton
from ...programs.program import Program
from .strategy import Strategy, Work


class Synthesis(Strategy):
    """Tries all synthesis strategies, that of the student first, which stays where others are no better."""

    name: ClassVar = "synthesis"

    def check(self, student: Program) -> None:
        """Refuse programs that synthesize nothing."""
        if not isinstance(student, Overton):
            raise ValueError(f"{type(student).__name__} synthesizes nothing; 'synthesis' is for the mode overton")

    def work(self, student: Program, train: int, dev: int) -> Work:
        """Every strategy once over the dev examples."""
        return Work(len(cast(Overton, student).synthesis.valid) * dev)

    def dearest(self, student: Program) -> Program:
        """One that drafts, and then may restate every message."""
        candidate = cast(Overton, student.deepcopy())
        candidate.synthesis.value = "refine"
        return candidate

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Try them."""
        setting = cast(Overton, student).synthesis
        for value in sorted(setting.valid, key=lambda value: value != setting.value):
            candidate = cast(Overton, student.deepcopy())
            candidate.synthesis.value = value
            self.offer(self.bench.attempt_program(self.name, value, candidate, valset), candidate)
        return self.best
