"""What the strategies share that are DSPy's own optimizers: who is told of their candidates, and what they print.

DSPy evaluates every candidate with `dspy.Evaluate`, and tells callbacks so: from there come the trials of the report,
and the best program so far where the budget ends a search. This file must not know any one optimizer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import dspy
import numpy as np
from dspy.utils.callback import BaseCallback
from dspy.utils.exceptions import DSPyError

from ...programs.program import Program
from .hopeless import prompt_lm_failed
from .quiet import quiet
from .strategy import Strategy
from .trials import Trial

BEST = 0.25
"""Share of the student's own answers to train examples that are good enough for demos, whatever they score."""

DemoMetric = Callable[..., float]
"""Scores an answer; where there is a trace, it says by 1 or 0 whether to make a demo of it."""


class DspySearch(Strategy):
    """A strategy that has one of DSPy's optimizers do the work."""

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Have the optimizer search.

        DSPy's global LM is the base LLM meanwhile: optimizers draw further samples with copies of it.
        """
        listener = _Listener(self, student.deepcopy(), valset)
        with self.bench.ledger.watching(listener), dspy.context(lm=student.base), quiet():
            try:
                return self.optimize(student, trainset, valset)
            except DSPyError as error:
                if self.bench.prompt_lm is None:
                    raise
                # The program's own failures are scores; what ends an optimizer is the LM that writes for it.
                raise prompt_lm_failed(error, self.bench.prompt_lm) from error

    def optimize(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Run the optimizer."""
        raise NotImplementedError(f"{type(self).__name__} says nothing about its optimizer")

    def demo_metric(self, student: Program, trainset: list[dspy.Example]) -> DemoMetric:
        """The objective, which finds an answer good enough for a demo also where it is one of the student's best.

        What counts as good in itself may be out of a small LM's reach; then there would be no demos at all.
        """
        objective, metric = self.bench.objective, self.bench.metric
        scores = [self.bench.goodness([score]) for score in self.bench.score(student, trainset)]
        least = float(np.quantile(scores, 1 - BEST))

        def judge(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> float:
            score = objective(example, prediction)
            if trace is None:
                return score
            return float(metric(example, prediction, trace) or score >= least > min(scores))

        return judge

    @property
    def prompt_lm(self) -> dspy.LM:
        """The LM that writes instructions; `check` has seen to it that there is one."""
        assert self.bench.prompt_lm is not None, "checked before the search"
        return self.bench.prompt_lm


class _Listener(BaseCallback):
    """Makes a trial of each of DSPy's evaluations."""

    def __init__(self, strategy: DspySearch, student: Program, valset: list[dspy.Example]) -> None:
        self._strategy = strategy
        self._student = student
        self._valset = valset
        self._begun: dict[str, tuple[Program, int, float]] = {}

    def on_evaluate_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        # A copy: optimizers go on changing the program that they evaluate.
        program = inputs["program"].deepcopy()
        self._begun[call_id] = program, self._strategy.bench.ledger.calls, time.monotonic()

    def on_evaluate_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
        program, calls, started = self._begun.pop(call_id)
        if exception is not None:
            return
        bench, n, score = self._strategy.bench, len(outputs.results), outputs.score / 100
        spent, seconds = bench.ledger.calls - calls, time.monotonic() - started
        failed = sum(not len(prediction) for _, prediction, _ in outputs.results)  # DSPy's stand-ins are empty
        bench.note(Trial(self._strategy.name, _changes(self._student, program), score, n, spent, seconds, failed))
        if [example for example, *_ in outputs.results] == self._valset:
            self._strategy.offer(score, program)


def _changes(student: Program, candidate: Program) -> str:
    """What a candidate has that the student has not, in a few words."""
    before, changes = dict(student.named_predictors()), list[str]()
    for name, predictor in candidate.named_predictors():
        if predictor.demos != before[name].demos:
            changes.append(f"{name}: {len(predictor.demos)} demos")
        if predictor.signature.instructions != before[name].signature.instructions:
            changes.append(f"{name}: {predictor.signature.instructions}")
    return "; ".join(changes) or "as it was"
