"""What pluralism is measured against: the base LLM alone, asked for pluralism, and a mixture of experts.

They are called like the modes and answer like them. This file knows no mode.
"""

import dspy

from ..signatures import baselines, distributional, steerable
from .choice import MeasuredChoice
from .messages import one_line
from .pool import CommunityPool
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

    As `Vanilla`, with `selected`, `selection_probabilities` and `messages` (of the selected community alone).
    """

    def __init__(self, base: dspy.LM, pool: CommunityPool) -> None:
        """Bind the base LLM and the communities."""
        super().__init__(base, baselines.AnswerFrom, steerable.Answer, distributional.Choose, steerable.Choose)
        self.pool = pool
        self.route = MeasuredChoice(baselines.Route, channel="query")

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """Route, hear one community, answer with its message."""
        chances = yield from self._routes(question.query)
        selected = max(chances, key=lambda name: chances[name])
        heard = yield from self.pool.steps(question.query, only=[selected])
        reply = yield from self.ask(question, {"message": one_line(heard.messages[0].text)})
        return dspy.Prediction(**reply, selected=selected, selection_probabilities=chances, messages=heard.messages)

    def _routes(self, query: str) -> Steps[dict[str, float]]:
        """How likely each community is to be the one to ask; the only one of a pool is, without asking."""
        self.pool.check_filled()
        names = {one_line(f"{community.name}: {community.description}"): community.name for community in self.pool}
        if len(names) == 1:
            return dict.fromkeys(names.values(), 1.0)
        (chosen,) = yield [Call(self.route, {"query": query, "options": list(names)}, self.base)]
        return {name: chosen.probabilities[option] for option, name in names.items()}
