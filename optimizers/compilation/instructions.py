"""Searches instructions without a strong LM to write them: a written bank, and if there is a prompt LM, its rewrites.

One predictor after the other, by successive halving (Jamieson and Talwalkar, AISTATS 2016): all candidates answer a few
dev examples, the better half answers twice as many, and so on, until those that are left have answered all. The
instructions that the student came with are a candidate of every round, so that the last word is the whole dev set's.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator
from functools import partial
from typing import ClassVar

import dspy

from ...programs.adapters import PlainAdapter
from ...programs.program import Program
from ...signatures.rewriting import Rewrite
from .bank import bank_of
from .hopeless import Watch, prompt_lm_failed
from .strategy import Strategy, Work, own_predictors
from .used import used_predictors

_FIRST = 4
"""Examples of the first round, where there are as many: fewer would choose by chance."""

_LONGEST = 600
"""Characters of a rewrite; what is longer is no instruction."""

_logger = logging.getLogger(__name__)


class SearchInstructions(Strategy):
    """Searches the instructions of every predictor that the task reaches, as often as the budget's level says."""

    name: ClassVar = "instructions"

    def check(self, student: Program) -> None:
        """Refuse programs that nothing was written for, unless an LM can write it."""
        if not bank_of(student) and self.bench.prompt_lm is None:
            raise ValueError(
                f"no instructions are written down for {type(student).__name__}; give an LM that rewrites its own"
                " (--prompt-lm, or prompt_lm=)"
            )

    def work(self, student: Program, train: int, dev: int) -> Work:
        """All predictors, as if the task reached every one."""
        effort, bank = self.bench.budget.effort, bank_of(student)
        predictors = len(bank) or len(own_predictors(student))
        rewrites = 0 if self.bench.prompt_lm is None else self._rewrites()
        longest = max((len(written) for written in bank.values()), default=0) + rewrites
        answers, left = 0, longest
        for n in _rounds(dev):
            answers += (1 + left) * n
            left = (left + 1) // 2
        return Work(1 + answers * predictors * effort.rounds, rewrites * predictors * effort.rounds)

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Search for one predictor after the other."""
        examples = random.Random(self.bench.seed).sample(valset, len(valset))
        best = student
        used = used_predictors(student, examples[0])
        for turn in range(self.bench.budget.effort.rounds):
            for name in used:
                best = self._halved(best, name, self._candidates(best, name, turn), examples)
        return best

    def _candidates(self, program: Program, name: str, turn: int) -> list[str]:
        own = _instructions(program, name)
        written = [*bank_of(program).get(name, ()), *self._rewritten(program, name, turn)]
        return [text for text in dict.fromkeys(written) if text != own]

    def _halved(self, student: Program, name: str, candidates: list[str], examples: list[dspy.Example]) -> Program:
        programs = {f"{name}: {text}": _with_instructions(student, name, text) for text in candidates}
        own = f"{name}: as it was"
        for n in _rounds(len(examples)):
            scores = {
                what: self.bench.attempt_program(self.name, what, program, examples[:n])
                for what, program in {own: student, **programs}.items()
            }
            if n == len(examples):
                for what, program in {own: student, **programs}.items():
                    self.offer(scores[what], program)
            ranked = sorted(programs, key=lambda what: scores[what], reverse=True)
            programs = {what: programs[what] for what in ranked[: (len(ranked) + 1) // 2]}
        return self.best

    def _rewrites(self) -> int:
        return self.bench.budget.effort.candidates

    def _rewritten(self, program: Program, name: str, turn: int) -> Iterator[str]:
        """What the prompt LM makes of the instructions, each a draw of its own; useless ones are left out."""
        if self.bench.prompt_lm is None:
            return
        signature = dict(program.named_predictors())[name].signature
        watch = Watch(partial(prompt_lm_failed, lm=self.bench.prompt_lm))
        for number in range(self._rewrites()):
            rollout = 1 + turn * self._rewrites() + number + 1000 * self.bench.seed
            lm = self.bench.prompt_lm.copy(rollout_id=rollout, temperature=1.0)
            try:
                text = watch(partial(_rewrite, signature, lm))
            except Exception:
                continue  # the watch has said why
            if 0 < len(text) <= _LONGEST:
                yield text
            else:
                _logger.info("left out a rewrite of %d characters", len(text))


def _rewrite(signature: type[dspy.Signature], lm: dspy.LM) -> str:
    with dspy.context(lm=lm, adapter=PlainAdapter()):
        found = dspy.Predict(Rewrite)(purpose=_purpose(signature), wording=signature.instructions)
    return " ".join(found.rewritten.split())


def _rounds(total: int) -> Iterator[int]:
    """How many examples each round answers; the last answers all."""
    n = _FIRST
    while 2 * n <= total:
        yield n
        n *= 2
    yield total


def _instructions(program: Program, name: str) -> str:
    return str(dict(program.named_predictors())[name].signature.instructions)


def _with_instructions(program: Program, name: str, text: str) -> Program:
    copied = program.deepcopy()
    predictor = dict(copied.named_predictors())[name]
    predictor.signature = predictor.signature.with_instructions(text)
    return copied


def _purpose(signature: type[dspy.Signature]) -> str:
    """The fields of a signature in words."""
    given = "; ".join(_described(name, field) for name, field in signature.input_fields.items())
    wanted = "; ".join(_described(name, field) for name, field in signature.output_fields.items())
    return f"It is given {given}. It has to write {wanted}."


def _described(name: str, field: object) -> str:
    extra = getattr(field, "json_schema_extra", None) or {}
    described = str(extra.get("desc", ""))
    return name if described in ("", f"${{{name}}}") else f"{name} ({described})"
