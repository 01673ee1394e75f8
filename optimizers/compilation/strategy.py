"""What a strategy is: one of DSPy's optimizers over our programs, which says what it needs and what it will cost.

This file knows programs and what DSPy does to them; it must not know any one strategy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, NamedTuple

import dspy
from dspy.teleprompt.teleprompt import Teleprompter

from ...programs.pool import CommunityPool
from ...programs.program import Program
from ..evaluation.work import program_digest
from .bench import Bench
from .hopeless import Hopeless
from .ledger import BudgetSpent


class Work(NamedTuple):
    """What a strategy will do at most: answers of the program, calls of the prompt LM, and choices of the base LLM."""

    answers: int
    prompt_calls: int = 0
    choices: int = 0

    def __add__(self, other: object) -> Work:
        if not isinstance(other, Work):
            return NotImplemented
        return Work(*map(sum, zip(self, other, strict=True)))


class Candidate(NamedTuple):
    """A program that was scored on all of the dev examples."""

    score: float
    program: Program


class Strategy(Teleprompter):
    """One way to make a program better.

    It never changes the program that it is given, and what it returns is of the same make, with the same LMs. The
    communities' own prompts stay as they are: they are who the communities are.

    Attributes:
        name: What it is called on the command line and in reports.
        needs_prompt_lm: Whether it cannot do without an LM that writes instructions.
        chooses_on_dev: Whether the dev examples tell it which candidate is the best one.
        stopped: Whether the budget ended its last search.
    """

    name: ClassVar[str]
    needs_prompt_lm: ClassVar[bool] = False
    chooses_on_dev: ClassVar[bool] = True

    def __init__(self, bench: Bench) -> None:
        """Work at a bench."""
        super().__init__()
        self.bench = bench
        self._best: Candidate | None = None
        self._student = ""
        self._offered: set[str] = set()
        self.stopped = False

    @property
    def compared(self) -> int:
        """Candidates among which the dev examples chose in the last search, the student not among them."""
        others = len(self._offered - {self._student})
        return others if self.chooses_on_dev else min(1, others)

    def check(self, student: Program) -> None:
        """Refuse, before anything is spent, what this strategy cannot do.

        Raises:
            ValueError: It needs a prompt LM, or has nothing to change in such a program.
        """
        if self.needs_prompt_lm and self.bench.prompt_lm is None:
            raise ValueError(
                f"the strategy {self.name!r} has instructions written by an LM, and none was given; give a capable one"
                " (--prompt-lm, or prompt_lm=), or use 'instructions', which needs none"
            )

    def work(self, student: Program, train: int, dev: int) -> Work:
        """What it will do at most with so many examples."""
        raise NotImplementedError(f"{type(self).__name__} says nothing about what it costs")

    def dearest(self, student: Program) -> Program:
        """The program of its search whose answers take the most LM calls: one of them is answered for the estimate."""
        return student

    def compile(
        self,
        student: Program,
        *,
        trainset: Sequence[dspy.Example],
        teacher: Program | None = None,
        valset: Sequence[dspy.Example] | None = None,
        **_: Any,
    ) -> Program:
        """Return a better program, or one like the student where nothing better was found.

        When the budget is spent, it is the best so far.

        Raises:
            ValueError: See `check`; or there are no examples, or a teacher, which no strategy of ours has a use for.
            MetricFailedError: The metric fails on most predictions.
            PromptLMFailedError: The LM that writes instructions writes none that can be used.
            RunError: The program fails on all examples.
        """
        if teacher is not None or not trainset:
            raise ValueError(f"the strategy {self.name!r} takes a trainset that is not empty, and no teacher")
        self.check(student)
        self._best, self._offered, self.stopped = None, set(), False
        own = frozen(student)
        self._student = program_digest(own)
        try:
            with self.bench.ledger.watching():
                found = self.search(own, list(trainset), list(valset or trainset))
        except BudgetSpent:
            self.stopped = True
            found = student if self._best is None else self._best.program
        except Hopeless as halt:
            raise halt.error from halt.__cause__
        return adopt(student, found)

    def search(self, student: Program, trainset: list[dspy.Example], valset: list[dspy.Example]) -> Program:
        """Find a better program; the student is a copy whose communities are frozen."""
        raise NotImplementedError(f"{type(self).__name__} says nothing about how it searches")

    def offer(self, score: float, program: Program) -> None:
        """Remember a program that was scored on all examples that choose, in case the budget ends the search."""
        self._offered.add(program_digest(program))
        if self._best is None or score > self._best.score:
            self._best = Candidate(score, program)

    @property
    def best(self) -> Program:
        """The best program so far; the first of several."""
        if self._best is None:
            raise LookupError("no program was scored yet")
        return self._best.program


def frozen(student: Program) -> Program:
    """A copy whose communities DSPy's optimizers leave alone, as they do with what is compiled already."""
    copied = student.deepcopy()
    pool = getattr(copied, "pool", None)
    if isinstance(pool, CommunityPool):
        pool._compiled = True
    return copied


def adopt(student: Program, found: Program) -> Program:
    """A copy of the student that has learned what another program of its make has learned, and nothing else of it.

    Optimizers leave notes on the programs that they return, all their candidates among them, and reset what they copy.
    """
    copied = student.deepcopy()
    learned = found.dump_state()
    pool = getattr(found, "pool", None)
    if isinstance(pool, CommunityPool):  # whose weights a frozen copy does not show among its parameters
        learned["pool.weights"] = pool.weights.dump_state()
    own = copied.dump_state()
    copied.load_state({name: learned.get(name, state) for name, state in own.items()})
    return copied


def own_predictors(student: Program) -> list[str]:
    """Names of the predictors that a search may change: all but the communities'."""
    return [name for name, _ in frozen(student).named_predictors()]
