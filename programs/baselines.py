"""What pluralism is measured against: the base LLM alone, asked for pluralism, and a mixture of experts.

They are called like the modes and answer like them. This file knows no mode.
"""

from collections.abc import Sequence

import dspy

from ..signatures import baselines, distributional, steerable
from .choice import MeasuredChoice
from .messages import one_line, quoted
from .pool import CommunityPool, FailurePolicy
from .program import Program
from .question import Question
from .steps import Call, Steps


class _Direct(Program):
    """Asks the base LLM one question, in the wording for its form: with or without an attribute and options."""

    def __init__(
        self,
        base: dspy.LM,
        respond: type[dspy.Signature],
        respond_for: type[dspy.Signature],
        choose: type[dspy.Signature],
        choose_for: type[dspy.Signature],
    ) -> None:
        super().__init__(base)
        self.respond = dspy.Predict(respond)
        self.respond_for = dspy.Predict(respond_for)
        self.choose = MeasuredChoice(choose)
        self.choose_for = MeasuredChoice(choose_for)

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """Ask."""
        return dspy.Prediction(**(yield from self.ask(question, {})))

    def ask(self, question: Question, known: dict[str, str]) -> Steps[dict[str, object]]:
        """Ask with what is known beside the question; see `Program.reply`."""
        inputs = {"query": question.query, **known}
        if question.attribute is None:
            return (yield from self.reply(self.respond, self.choose, inputs, question.options))
        inputs["attribute"] = question.attribute
        return (yield from self.reply(self.respond_for, self.choose_for, inputs, question.options))


class Vanilla(_Direct):
    """The base LLM alone: `Prediction(response)`, or with options `Prediction(option, probabilities)`."""

    def __init__(self, base: dspy.LM) -> None:
        """Bind the base LLM."""
        super().__init__(base, baselines.Answer, baselines.AnswerFor, baselines.Choose, baselines.ChooseFor)


class Prompted(_Direct):
    """The base LLM, asked for pluralism; it answers like `Vanilla`. This is the bar to clear."""

    def __init__(self, base: dspy.LM) -> None:
        """Bind the base LLM."""
        super().__init__(
            base,
            baselines.AnswerPluralistically,
            baselines.AnswerPluralisticallyFor,
            baselines.ChoosePluralistically,
            baselines.ChoosePluralisticallyFor,
        )


class MixtureOfExperts(_Direct):
    """The base LLM routes to one community by its description, and answers with that community's message only.

    As `Vanilla`, with `selected`, `selection_probabilities`, `messages` (of the selected community alone) and
    `failures`. When the policy is to continue, a community that fails is recorded there and the next best is asked.

    Attributes:
        pool: The communities.
        failures: What a failing community leads to; by default its failure ends the program. With "continue", the
            program ends when fewer than `at_least` communities have not failed; `timeout` is each one's own.
    """

    def __init__(self, base: dspy.LM, pool: CommunityPool, *, failures: FailurePolicy | None = None) -> None:
        """Bind the base LLM and the communities."""
        super().__init__(base, baselines.AnswerFrom, steerable.Answer, distributional.Choose, steerable.Choose)
        self.pool = pool
        self.failures = failures or FailurePolicy()
        self.route = MeasuredChoice(baselines.Route, channel="query")

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """Route, hear one community, answer with its message."""
        best, chances = yield from self._routes(question.query)
        # Where a sharpness leaves no difference, what was measured decides, and not the order of the communities.
        ranked = sorted(chances, key=lambda name: (chances[name], name == best), reverse=True)
        heard = yield from self._hear(question.query, ranked)
        (message,) = heard.messages
        reply = yield from self.ask(question, {"message": quoted(message.text)})
        return dspy.Prediction(
            **reply,
            selected=message.community,
            selection_probabilities=chances,
            messages=heard.messages,
            failures=heard.failures,
        )

    def _hear(self, query: str, ranked: Sequence[str]) -> Steps[dspy.Prediction]:
        """The message of the likeliest community that has one, and why those before it have none."""
        failed: dict[str, str] = {}
        while True:
            heard = yield from self.pool.collect(query, self.failures.timeout, only=[ranked[len(failed)]])
            failed |= heard.failures
            self.failures.judge(failed, len(ranked) - len(failed))
            if heard.messages:
                return dspy.Prediction(messages=heard.messages, failures=failed)

    def _routes(self, query: str) -> Steps[tuple[str, dict[str, float]]]:
        """The community to ask, and how likely each is to be the one; the only one of a pool is, without asking."""
        self.pool.check_filled()
        names = {one_line(f"{community.name}: {community.description}"): community.name for community in self.pool}
        if len(names) == 1:
            (only,) = names.values()
            return only, {only: 1.0}
        (chosen,) = yield [Call(self.route, {"query": query, "options": list(names)}, self.base)]
        return names[chosen.choice], {name: chosen.probabilities[option] for option, name in names.items()}
