"""Measured choice: a predictor whose answer is a distribution over given options.

Its instructions and demos are optimizable like any predictor's; how it measures is a learned, saved parameter as well,
because it matters more than wording. This file knows predictors; the ways to measure are in `choosing`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping, Sequence
from typing import Any

import dspy
from dspy.clients.base_lm import BaseLM

from .adapters import PlainAdapter, is_plain
from .asking import Ask, CannotMeasureError
from .choice_fallback import Measured, Unmeasurable, measure_first
from .choice_prompt import ChoiceDemo, ChoicePrompt
from .choosing import usable_strategies
from .json_only import JsonOnly
from .measurement import AUTO, Measurement
from .measures import arun_plan, run_plan
from .question import check_options

_MEASURED = ("probabilities", "strategy", "method", "outside")
"""What an answer has beside the option; a field of that name would be lost, or could be in no demo."""

_AUTO_ORDER = ("channel", "verdicts", "sampled")


class MeasuredChoice(JsonOnly, dspy.Predict):
    """Predicts a distribution over options, measured as `measurement` says.

    The signature has an input `options: list[str]` and one text output. A call gives the most likely option under the
    output's name, and `probabilities` (option to probability), `strategy`, `method` (how the backend measured) and
    `outside` (the probability that fell on no option; None where the strategy cannot tell). Settings of the LM, such as
    its temperature, have no effect on it.

    Attributes:
        measurement: How it measures. Resetting a predictor, as DSPy's optimizers do, clears demos and keeps this, like
            the instructions.
        channel: Name of the input whose likelihood the `channel` strategy compares; None where there is none.
    """

    def __init__(self, signature: str | type[dspy.Signature], strategy: str = AUTO, channel: str | None = None) -> None:
        """Make a predictor.

        Args:
            signature: Inputs with `options` among them, and one text output.
            strategy: One of `choosing.STRATEGIES`; or "auto", that is the first of these that the backend can measure:
                `channel` where an input is named for it and given, `verdicts`, `sampled`. Where a backend announces
                more than it does, the next one is taken; a strategy that was named is never replaced.
            channel: The input whose likelihood `channel` compares between the options, such as "attribute".

        Raises:
            ValueError: The signature or the channel does not fit, or there is no such strategy.
        """
        super().__init__(signature)
        inputs = list(self.signature.input_fields)
        if "options" not in inputs or not is_plain(self.signature):
            raise ValueError(f"a choice needs an input 'options' and one text output, not {self.signature.signature!r}")
        taken = [name for name in (*inputs, _output(self.signature)) if name in _MEASURED]
        if taken:
            raise ValueError(f"a choice answers with {', '.join(_MEASURED)} itself; rename the field {taken[0]!r}")
        if channel is not None and (channel not in inputs or channel == "options"):
            raise ValueError(f"there is no input {channel!r} to compare beside the options; the inputs are {inputs}")
        self.measurement = Measurement(strategy)
        self.channel = channel
        self._unmeasurable = Unmeasurable()

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Measure the choice; DSPy calls this.

        Raises:
            TypeError: The options are no list of texts.
            ValueError: There are fewer than two options, or some are empty or the same.
            CannotMeasureError: The backend cannot measure the choice, or its replies do not tell.
        """
        with dspy.context(adapter=_ChoiceAdapter(self)):
            return super().forward(**kwargs)

    async def aforward(self, **kwargs: Any) -> dspy.Prediction:
        """Measure the choice in the running event loop; DSPy calls this."""
        with dspy.context(adapter=_ChoiceAdapter(self)):
            return await super().aforward(**kwargs)

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The state of a predictor, and how it measures."""
        return {**super().dump_state(json_mode=json_mode), "measurement": self.measurement.dump()}

    def load_state(self, state: Mapping[str, Any], *, allow_unsafe_lm_state: bool = False) -> MeasuredChoice:
        """Take a dumped state; where it says nothing about the measurement, the present one stays.

        Raises:
            ValueError: The measurement makes no sense; nothing was taken.
        """
        rest = dict(state)
        measurement = Measurement.load(rest.pop("measurement", self.measurement.dump()))
        super().load_state(rest, allow_unsafe_lm_state=allow_unsafe_lm_state)
        self.measurement = measurement
        return self

    def strategies(self, lm: BaseLM) -> tuple[str, ...]:
        """Names of the strategies that can be measured with an LM, without asking it anything."""
        return tuple(name for name in usable_strategies(lm) if name != "channel" or self.channel is not None)

    def strategy_for(self, lm: BaseLM) -> str:
        """The strategy that a call with this LM uses, as far as can be told without asking it.

        Raises:
            CannotMeasureError: It cannot be measured; the message says which can.
        """
        return self._candidates(lm, self.channel is not None)[0]

    def _candidates(self, lm: BaseLM, channel: bool) -> list[str]:
        """The strategies to try with an LM, in order: the one that was named, or those that may work."""
        usable, wanted = self.strategies(lm), self.measurement.strategy
        if wanted == AUTO:
            fit = [name for name in _AUTO_ORDER if name in usable and (channel or name != "channel")]
            return self._unmeasurable.rest(lm, fit)
        if wanted not in usable:
            problem = f"the strategy {wanted!r} cannot be measured here"
            raise CannotMeasureError(lm.model, problem, f"these can: {', '.join(usable)}")
        return [wanted]


class _ChoiceAdapter(PlainAdapter):
    """Puts a measurement where an adapter's one LM call would be, so that optimizers see an ordinary predictor."""

    def __init__(self, predictor: MeasuredChoice) -> None:
        super().__init__()
        self._predictor = predictor

    def __call__(
        self,
        lm: BaseLM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[Any],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        plan = self._plan(lm, signature, demos, inputs)
        return [self._answer(signature, inputs, run_plan(lm, plan))]

    async def acall(
        self,
        lm: BaseLM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[Any],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        # In a thread, because DSPy may import a lot the first time it looks up what a backend can do.
        plan = await asyncio.to_thread(self._plan, lm, signature, demos, inputs)
        return [self._answer(signature, inputs, await arun_plan(lm, plan))]

    def _plan(
        self, lm: BaseLM, signature: type[dspy.Signature], demos: list[Any], inputs: Mapping[str, Any]
    ) -> Generator[list[Ask], Any, Measured]:
        prompt = ChoicePrompt(
            instructions=signature.instructions,
            context=self._context(signature, inputs),
            options=_one_line_each(check_options(inputs.get("options"))),
            demos=tuple(solved for demo in demos if (solved := self._solved(signature, demo))),
            channel=self._channel(inputs),
        )
        strategies = self._predictor._candidates(lm, bool(prompt.channel))
        return measure_first(lm, prompt, strategies, self._predictor._unmeasurable)

    def _context(self, signature: type[dspy.Signature], values: Mapping[str, Any]) -> str:
        return self.format_user_message_content(signature.delete("options"), values)

    def _channel(self, values: Mapping[str, Any]) -> str | None:
        name = self._predictor.channel
        value = None if name is None else values.get(name)
        return None if value is None else " ".join(str(value).split())

    def _solved(self, signature: type[dspy.Signature], demo: Any) -> ChoiceDemo | None:
        """A demo as a solved choice; None for one that shows no choice among options."""
        choice = demo.get(_output(signature))
        try:
            options = check_options(demo.get("options"))
        except (TypeError, ValueError):
            return None
        if choice not in options:
            return None
        return ChoiceDemo(
            self._context(signature, demo), _one_line_each(options), options.index(choice), self._channel(demo)
        )

    def _answer(self, signature: type[dspy.Signature], inputs: Mapping[str, Any], measured: Measured) -> dict[str, Any]:
        scores = measured.scores
        options = inputs["options"]
        probabilities = self._predictor.measurement.probabilities(options, scores.logits)
        measured_by = dict(zip(options, scores.logits, strict=True))
        return {
            # Where a sharpness leaves no difference, what was measured decides, and not the order of the options.
            _output(signature): max(options, key=lambda option: (probabilities[option], measured_by[option])),
            "probabilities": probabilities,
            "strategy": measured.strategy,
            "method": scores.method,
            "outside": scores.outside,
        }


def _output(signature: type[dspy.Signature]) -> str:
    return next(iter(signature.output_fields))


def _one_line_each(options: Sequence[Any]) -> tuple[str, ...]:
    """The options as they are shown: one that goes on in a second line could look like two."""
    return tuple(" ".join(str(option).split()) for option in options)
