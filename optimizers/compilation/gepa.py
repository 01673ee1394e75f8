"""Instructions that an LM rewrites after reading what went wrong: DSPy's GEPA, with feedback in words from our metrics.

GEPA can keep its state in a folder, as a pickle, which this project never writes or reads: a search that was stopped
begins anew, and LMs answer from DSPy's cache what they were asked before.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import dspy
from dspy.teleprompt import GEPA
from dspy.teleprompt.gepa import InstructionProposer

from ...programs.program import Program
from .dspy_search import DspySearch
from .hopeless import Watch, prompt_lm_failed
from .objective import Explained
from .strategy import Work

_MINIBATCH = 3
"""Train examples that one reflection reads."""


class Gepa(DspySearch):
    """Reflective evolution of instructions, after Agrawal et al., arXiv 2507.19457."""

    name: ClassVar = "gepa"
    needs_prompt_lm: ClassVar = True

    def work(self, student: Program, train: int, dev: int) -> Work:
        """As many answers as it is allowed, and two attempts to read a reflection for every two minibatches."""
        answers = self._answers(dev)
        return Work(answers, answers // _MINIBATCH)

    def optimize(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Run the optimizer."""
        optimizer = GEPA(
            metric=Explained(self.bench.objective, self.bench.feedback),
            max_metric_calls=self._answers(len(valset)),
            reflection_minibatch_size=_MINIBATCH,
            reflection_lm=self.prompt_lm,
            instruction_proposer=_Proposer(self.prompt_lm),
            num_threads=self.bench.threads,
            seed=self.bench.seed,
        )
        return optimizer.compile(student, trainset=trainset, valset=valset)

    def _answers(self, dev: int) -> int:
        """The student on the dev examples, and for each candidate two minibatches and the dev examples once."""
        effort = self.bench.budget.effort
        return dev + effort.candidates * effort.rounds * (2 * _MINIBATCH + dev)


class _Proposer(InstructionProposer):
    """GEPA's own, watched: GEPA goes on without a proposal where the LM fails, and would say nothing at the end."""

    def __init__(self, lm: dspy.LM) -> None:
        super().__init__()
        self._watch = Watch(partial(prompt_lm_failed, lm=lm))

    def __call__(
        self, candidate: dict[str, str], reflective_dataset: Mapping[str, Any], components_to_update: list[str]
    ) -> dict[str, str]:
        ask = super().__call__
        return self._watch(lambda: ask(candidate, reflective_dataset, components_to_update))
