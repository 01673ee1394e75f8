"""The distributional mode: how a population would answer, pooled from how each community would.

This file knows how distributions are pooled; it must not know how they are measured.
"""

import math
from collections.abc import Mapping

import dspy

from ..signatures.distributional import Choose
from .choice import MeasuredChoice
from .learned import Setting
from .messages import quoted
from .mode import Mode
from .pool import CommunityPool, FailurePolicy
from .question import Question
from .steps import Call, Steps

METHODS = ("linear", "logarithmic")


class Distributional(Mode):
    """For every community the base LLM gives a distribution over the options, conditioned on that community's message.

    `Prediction(probabilities, per_community, weights, method, messages, failures)`. The distributions are pooled with
    the weights of the pool (`pool.weights`), scaled to the communities that had a message. How is a saved, learned
    setting, `pooling.value`:

    - `linear`: the weighted mean, as in the paper: every community keeps its share of the answer.
    - `logarithmic`: the weighted geometric mean, scaled: what all can live with; a zero is a veto.
    """

    options_use = "required"

    def __init__(self, base: dspy.LM, pool: CommunityPool, *, failures: FailurePolicy | None = None) -> None:
        """Bind the base LLM and the communities."""
        super().__init__(base, pool, failures=failures)
        self.pooling = Setting("the pooling method", "linear", METHODS)
        self.choose = MeasuredChoice(Choose)

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """Hear the communities, measure a distribution for each, pool them."""
        heard = yield from self.hear(question)
        weights = self.pool.weights.shares([message.community for message in heard.messages])
        asked = {"query": question.query, "attribute": question.attribute, "options": list(question.options or ())}
        chosen = yield [
            Call(self.choose, {**asked, "message": quoted(message.text)}, self.base) for message in heard.messages
        ]
        per_community = {
            message.community: dict(answer.probabilities)
            for message, answer in zip(heard.messages, chosen, strict=True)
        }
        return dspy.Prediction(
            probabilities=_POOL[self.pooling.value](per_community, weights),
            per_community=per_community,
            weights=weights,
            method=self.pooling.value,
            messages=heard.messages,
            failures=heard.failures,
        )


def linear_pool(distributions: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]) -> dict[str, float]:
    """The weighted mean of distributions over the same options; weights sum to one."""
    options = next(iter(distributions.values()))
    return {
        option: math.fsum(weights[name] * found[option] for name, found in distributions.items()) for option in options
    }


def logarithmic_pool(
    distributions: Mapping[str, Mapping[str, float]], weights: Mapping[str, float]
) -> dict[str, float]:
    """The weighted geometric mean of distributions over the same options, scaled to a sum of one.

    Raises:
        ValueError: Every option has probability zero for a community with weight.
    """
    counting = {name: found for name, found in distributions.items() if weights[name]}
    options = [
        option for option in next(iter(distributions.values())) if all(found[option] for found in counting.values())
    ]
    if not options:
        raise ValueError("every option is impossible for some community, so nothing is left; pool them linearly")
    logs = {
        option: math.fsum(weights[name] * math.log(found[option]) for name, found in counting.items())
        for option in options
    }
    highest = max(logs.values())
    total = math.fsum(math.exp(log - highest) for log in logs.values())
    found = {option: math.exp(log - highest) / total for option, log in logs.items()}
    return {option: found.get(option, 0.0) for option in next(iter(distributions.values()))}


_POOL = {"linear": linear_pool, "logarithmic": logarithmic_pool}
