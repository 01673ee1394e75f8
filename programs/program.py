"""What all programs have in common: how they are called, driven, copied and saved.

This file knows that a program answers questions in steps; it must not know any mode.
"""

from collections.abc import Mapping, Sequence
from copy import deepcopy
from typing import Any, ClassVar, TypeVar

import dspy

from .question import Question, Use
from .steps import Call, Steps, adrive, drive

M = TypeVar("M", bound="Stepped")


class Stepped(dspy.Module):
    """A module whose logic is a generator of steps, driven alike by a call and by `acall`; copies share its LMs."""

    def forward(self, *args: Any, **kwargs: Any) -> dspy.Prediction:
        """Run the steps in this thread; DSPy calls this."""
        return drive(self.steps(*args, **kwargs))

    async def aforward(self, *args: Any, **kwargs: Any) -> dspy.Prediction:
        """Run the steps in the running event loop; DSPy calls this."""
        return await adrive(self.steps(*args, **kwargs))

    def steps(self, *args: Any, **kwargs: Any) -> Steps[dspy.Prediction]:
        """The logic: yield batches of calls, return the prediction."""
        raise NotImplementedError(f"{type(self).__name__} says nothing about its steps")

    def __deepcopy__(self: M, memo: dict[int, Any]) -> M:
        """Copy everything but the LMs.

        Optimizers copy a program for every candidate. An LM is a connection with a history; it is neither part of what
        is optimized nor cheap to copy.
        """
        memo |= {id(value): value for value in vars(self).values() if isinstance(value, dspy.BaseLM)}
        copied = type(self).__new__(type(self))
        memo[id(self)] = copied
        copied.__setstate__(deepcopy(self.__getstate__(), memo))
        return copied


class Program(Stepped):
    """A program that answers a query, perhaps for an attribute, perhaps by a choice among options.

    Attributes:
        attribute_use: What it does with an attribute.
        options_use: What it does with options.
        base: The base LLM.
    """

    attribute_use: ClassVar[Use] = "optional"
    options_use: ClassVar[Use] = "optional"

    def __init__(self, base: dspy.LM) -> None:
        """Take the base LLM."""
        super().__init__()
        self.base = base

    def steps(
        self, query: str, attribute: str | None = None, options: Sequence[str] | None = None
    ) -> Steps[dspy.Prediction]:
        """Check the question and answer it.

        Raises:
            TypeError: An argument is of the wrong kind.
            ValueError: An argument is missing, empty, or one that this program has no use for.
        """
        question = Question.check(query, attribute, options)
        question.fit(type(self).__name__, self.attribute_use, self.options_use)
        return (yield from self.answer(question))

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """The logic of the program, for a question that fits it."""
        raise NotImplementedError(f"{type(self).__name__} says nothing about how it answers")

    def reply(
        self, respond: dspy.Module, choose: dspy.Module, inputs: Mapping[str, Any], options: Sequence[str] | None
    ) -> Steps[dict[str, Any]]:
        """Ask the base LLM for its answer: `response` in free words, or `option` and `probabilities` among options."""
        if options is None:
            (answer,) = yield [Call(respond, inputs, self.base)]
            return {"response": answer.response}
        (answer,) = yield [Call(choose, {**inputs, "options": list(options)}, self.base)]
        return {"option": answer.choice, "probabilities": dict(answer.probabilities)}

    def get_lm(self) -> dspy.LM:
        """The base LLM: what DSPy takes for the LM of this program when it wants further samples of its answers."""
        return self.base
