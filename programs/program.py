"""What all programs have in common: how they are called, driven, copied and saved.

This file knows that a program answers questions in steps; it must not know any mode.
"""

from collections.abc import Mapping, Sequence
from copy import copy, deepcopy
from pathlib import Path
from typing import Any, ClassVar, Self

import dspy
from dspy.predict.parameter import Parameter

from .errors import SavedProgramError
from .json_only import STATE_FILES, JsonOnly
from .question import Question, Use
from .saved_state import check_state
from .steps import Call, Steps, adrive, drive


class Stepped(JsonOnly):
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

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The state of the parameters, without the LMs that optimizers may have set on predictors."""
        return {
            name: _unbound(parameter).dump_state(json_mode=json_mode) for name, parameter in self.named_parameters()
        }

    def load_state(self, state: Mapping[str, Any], *, allow_unsafe_lm_state: bool = False) -> None:
        """Take a dumped state, checked by name and type first.

        Raises:
            SavedProgramError: It does not fit; nothing of it was taken.
        """
        check_state(self, state)
        try:
            super().load_state(state)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise SavedProgramError(f"the state cannot be taken: {error}") from error

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
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

    def save(self, path: str | Path, save_program: bool = False, modules_to_serialize: Any = None) -> None:
        """Write the program as a folder of JSON, for `modplural.load`: no secrets, and nothing that is executed.

        A path that ends in `.json` gets DSPy's own state file instead, since DSPy's optimizers write their candidates
        that way; `load` on a program of the same make reads it.

        Args:
            path: A folder; a saved program that is there is replaced.
            save_program: Refused: DSPy's form of saved programs is a pickle.
            modules_to_serialize: Refused, as above.

        Raises:
            FileExistsError: There is something at the path that is no saved program.
            SavedProgramError: The program cannot be saved; the message says why.
        """
        from .saving import save_program as write  # which knows all programs, this one among them

        if save_program or modules_to_serialize or Path(path).suffix in STATE_FILES:
            super().save(path, save_program, modules_to_serialize)
        else:
            write(self, path)

    def load(self, path: str | Path, allow_pickle: bool = False, allow_unsafe_lm_state: bool = False) -> None:
        """Take over what a saved program of the same kind and communities has learned; LMs stay those of this program.

        Args:
            path: A folder, or a DSPy state file that ends in `.json`.
            allow_pickle: Refused.
            allow_unsafe_lm_state: Refused.

        Raises:
            SavedProgramError: It is no saved program, or one that does not fit this one.
        """
        from .saving import load_into

        if allow_pickle or allow_unsafe_lm_state or Path(path).suffix in STATE_FILES:
            super().load(path, allow_pickle, allow_unsafe_lm_state)
        else:
            load_into(self, path)

    def get_lm(self) -> dspy.LM:
        """The base LLM: what DSPy takes for the LM of this program when it wants further samples of its answers."""
        return self.base

    def set_lm(self, lm: dspy.LM) -> None:
        """Make an LM the base LLM. Communities keep theirs, which make them who they are; see `CommunityLM.set_lm`.

        DSPy asks for another sample of a program by setting a copy of its LM with a `rollout_id`: for such an answer
        the communities draw anew as well.

        Raises:
            TypeError: It is no LM.
        """
        check_lm(lm)
        super().set_lm(lm)
        self.base = lm


def check_lm(lm: object) -> None:
    """Check that an LM is one.

    Raises:
        TypeError: It is not.
    """
    if not isinstance(lm, dspy.BaseLM):
        raise TypeError(f"{lm!r} is no LM, so nobody could be asked; give a dspy.LM, such as dspy.LM('openai/<name>')")


def _unbound(parameter: Parameter) -> Any:
    """The parameter, or its like without an LM."""
    if getattr(parameter, "lm", None) is None:
        return parameter
    unbound = copy(parameter)
    unbound.lm = None
    return unbound
