"""What the three modes have in common: a base LLM, a pool, and what to do when a community fails.

This file must not know any one mode.
"""

import dspy

from .pool import CommunityPool, FailurePolicy
from .program import Program
from .question import Question
from .steps import Steps


class Mode(Program):
    """A program whose communities comment on the query before the base LLM answers.

    Attributes:
        pool: The communities.
        failures: What a failing community leads to; by default its failure ends the program.
    """

    def __init__(self, base: dspy.LM, pool: CommunityPool, *, failures: FailurePolicy | None = None) -> None:
        """Bind the base LLM and the communities."""
        super().__init__(base)
        self.pool = pool
        self.failures = failures or FailurePolicy()

    def hear(self, question: Question) -> Steps[dspy.Prediction]:
        """Ask the communities for their messages; see `CommunityPool.steps`."""
        return (yield from self.pool.steps(question.query, self.failures))
