"""Measured choice: a predictor whose answer is a distribution over given options.

Its instructions and demos are optimizable like any predictor's; how it measures is a learned, saved parameter as well,
because it matters more than wording. This file knows predictors and calibration; the ways to measure are in `choosing`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dspy
from dspy.clients.base_lm import BaseLM

from .adapters import PlainAdapter
from .asking import CannotMeasureError
from .choosing import STRATEGIES, ChoiceDemo, ChoicePrompt, Scores, usable_strategies
from .measures import arun_plan, run_plan

AUTO = "auto"
"""The strategy that stands for the best one the backend can measure, until one is chosen on a dev set."""


@dataclass
class Measurement:
    """How a choice is measured.

    Attributes:
        strategy: Name of a strategy, or "auto".
        temperature: Scores are divided by it before they become probabilities; above 1 flattens.
        bias: Added to the score of an option, by its text; for option sets that stay the same.
    """

    strategy: str = AUTO
    temperature: float = 1.0
    bias: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.strategy != AUTO and self.strategy not in STRATEGIES:
            raise ValueError(f"there is no strategy {self.strategy!r}; there are {', '.join([AUTO, *STRATEGIES])}")
        if not (_is_number(self.temperature) and self.temperature > 0):
            raise ValueError(f"the temperature of a choice is {self.temperature!r}; it is a finite number above 0")
        wrong = {text: value for text, value in self.bias.items() if not _is_number(value)}
        if wrong:
            raise ValueError(f"biases are finite numbers; these are not: {wrong}")

    def probabilities(self, options: Sequence[str], logits: Sequence[float]) -> dict[str, float]:
        """Calibrated probabilities of the options, summing to one."""
        shifted = [
            logit / self.temperature + self.bias.get(option, 0.0) for option, logit in zip(options, logits, strict=True)
        ]
        top = max(shifted)
        weights = [math.exp(value - top) for value in shifted]
        return {option: weight / math.fsum(weights) for option, weight in zip(options, weights, strict=True)}

    def dump(self) -> dict[str, Any]:
        """The measurement as JSON data."""
        return {"strategy": self.strategy, "temperature": self.temperature, "bias": dict(self.bias)}

    @classmethod
    def load(cls, state: Mapping[str, Any]) -> Measurement:
        """The measurement of dumped data.

        Raises:
            ValueError: It is no such data.
        """
        if not isinstance(state, Mapping) or set(state) != {"strategy", "temperature", "bias"}:
            raise ValueError(f"a measurement has a strategy, a temperature and a bias; got {state!r}")
        return cls(state["strategy"], state["temperature"], dict(state["bias"]))


class MeasuredChoice(dspy.Predict):
    """Predicts a distribution over options, measured as `measurement` says.

    The signature has an input `options: list[str]` and one text output. A call gives the most likely option under the
    output's name, and `probabilities` (option to probability), `strategy`, `method` (how the backend measured) and
    `outside` (the probability that fell on no option, where the strategy can tell).

    Attributes:
        measurement: How it measures. Resetting a predictor, as DSPy's optimizers do, clears demos and keeps this, like
            the instructions.
        channel: Name of the input whose likelihood the `channel` strategy compares.
    """

    def __init__(
        self,
        signature: str | type[dspy.Signature],
        strategy: str = AUTO,
        *,
        channel: str | None = None,
        **config: Any,
    ) -> None:
        """Make a predictor.

        Args:
            signature: Inputs with `options` among them, and one text output.
            strategy: One of `letters`, `texts`, `verdicts`, `channel`, `sampled`, `verbalized`; "auto" is `channel` where
                there is a channel and the backend can measure it, else `verdicts`, else `sampled`.
            channel: The input whose likelihood `channel` compares between the options, such as "attribute".
            config: Settings of the LM, as for `dspy.Predict`.

        Raises:
            ValueError: The signature or the channel does not fit, or there is no such strategy.
        """
        super().__init__(signature, **config)
        inputs, outputs = self.signature.input_fields, self.signature.output_fields
        if "options" not in inputs or len(outputs) != 1:
            raise ValueError(f"a choice needs an input 'options' and one output; {self.signature.signature} has not")
        if channel is not None and channel not in inputs:
            raise ValueError(f"there is no input {channel!r} to compare; the inputs are {', '.join(inputs)}")
        self.measurement = Measurement(strategy)
        self.channel = channel

    def forward(self, **kwargs: Any) -> dspy.Prediction:
        """Measure the choice; DSPy calls this."""
        with dspy.context(adapter=_ChoiceAdapter(self)):
            return super().forward(**kwargs)

    async def aforward(self, **kwargs: Any) -> dspy.Prediction:
        """Measure the choice in the running event loop; DSPy calls this."""
        with dspy.context(adapter=_ChoiceAdapter(self)):
            return await super().aforward(**kwargs)

    def dump_state(self, json_mode: bool = True) -> dict[str, Any]:
        """The state of a predictor, and how it measures."""
        return {**super().dump_state(json_mode=json_mode), "measurement": self.measurement.dump()}

    def load_state(self, state: dict[str, Any], *, allow_unsafe_lm_state: bool = False) -> MeasuredChoice:
        """Take a dumped state; without a measurement in it, the present one stays."""
        rest = dict(state)
        measurement = Measurement.load(rest.pop("measurement", self.measurement.dump()))
        super().load_state(rest, allow_unsafe_lm_state=allow_unsafe_lm_state)
        self.measurement = measurement
        return self

    def strategy_for(self, lm: BaseLM) -> str:
        """The strategy that a call with this LM uses.

        Raises:
            CannotMeasureError: The backend cannot measure the strategy; the message says which it can.
        """
        usable = usable_strategies(lm)
        wanted = self.measurement.strategy
        if wanted == AUTO:
            preferred = (*(("channel",) if self.channel else ()), "verdicts", "sampled")
            return next(name for name in preferred if name in usable)
        if wanted not in usable:
            raise CannotMeasureError(
                lm.model, f"its backend cannot measure the strategy {wanted!r}", f"choose among {', '.join(usable)}"
            )
        return wanted


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
        strategy, prompt = self._predictor.strategy_for(lm), self._prompt(signature, demos, inputs)
        return self._answer(signature, prompt, strategy, run_plan(lm, STRATEGIES[strategy].plan(lm, prompt)))

    async def acall(
        self,
        lm: BaseLM,
        lm_kwargs: dict[str, Any],
        signature: type[dspy.Signature],
        demos: list[Any],
        inputs: dict[str, Any],
    ) -> list[dict[str, Any]]:
        strategy, prompt = self._predictor.strategy_for(lm), self._prompt(signature, demos, inputs)
        return self._answer(signature, prompt, strategy, await arun_plan(lm, STRATEGIES[strategy].plan(lm, prompt)))

    def _prompt(self, signature: type[dspy.Signature], demos: list[Any], inputs: Mapping[str, Any]) -> ChoicePrompt:
        options = tuple(inputs.get("options") or ())
        if len(options) < 2 or len(set(options)) < len(options) or not all(isinstance(o, str) and o for o in options):
            raise ValueError(f"a choice needs two or more distinct options, non-empty texts; got {list(options)!r}")
        shown = [self._demo(signature, demo) for demo in demos]
        return ChoicePrompt(
            instructions=signature.instructions,
            context=self._context(signature, inputs),
            options=options,
            demos=tuple(demo for demo in shown if demo is not None),
            attribute=self._attribute(inputs),
        )

    def _context(self, signature: type[dspy.Signature], inputs: Mapping[str, Any]) -> str:
        return self.format_user_message_content(signature.delete("options"), dict(inputs))

    def _attribute(self, inputs: Mapping[str, Any]) -> str | None:
        value = inputs.get(self._predictor.channel) if self._predictor.channel else None
        return None if value is None else str(value)

    def _demo(self, signature: type[dspy.Signature], demo: Any) -> ChoiceDemo | None:
        """A demo as a solved choice; None for one that shows no choice among its options."""
        values = dict(demo)
        options = tuple(values.get("options") or ())
        choice = values.get(next(iter(signature.output_fields)))
        if choice not in options or len(options) < 2:
            return None
        return ChoiceDemo(self._context(signature, values), options, options.index(choice), self._attribute(values))

    def _answer(
        self, signature: type[dspy.Signature], prompt: ChoicePrompt, strategy: str, scores: Scores
    ) -> list[dict[str, Any]]:
        probabilities = self._predictor.measurement.probabilities(prompt.options, scores.logits)
        return [
            {
                next(iter(signature.output_fields)): max(probabilities, key=probabilities.__getitem__),
                "probabilities": probabilities,
                "strategy": strategy,
                "method": scores.method,
                "outside": scores.outside,
            }
        ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
