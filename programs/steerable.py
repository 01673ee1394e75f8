"""The steerable mode: an answer from the standpoint of one value or group.

This file knows how a message is selected and used; it must not know how messages or probabilities come about.
"""

from collections import Counter
from collections.abc import Sequence

import dspy

from ..signatures.steerable import Answer, Choose, Select
from .choice import MeasuredChoice
from .messages import Message, quoted
from .mode import Mode
from .pool import CommunityPool, FailurePolicy
from .question import Question
from .steps import Call, Steps


class Steerable(Mode):
    """The base LLM selects the message that best reflects the attribute, then answers with that message.

    `Prediction(response, selected, selection_probabilities, messages, failures)`; with options, `option` and
    `probabilities` stand in the place of `response`. The selection is a measured choice over the messages; communities
    that say the same share its probability.
    """

    attribute_use = "required"

    def __init__(self, base: dspy.LM, pool: CommunityPool, *, failures: FailurePolicy | None = None) -> None:
        """Bind the base LLM and the communities."""
        super().__init__(base, pool, failures=failures)
        self.select = MeasuredChoice(Select, channel="attribute")
        self.respond = dspy.Predict(Answer)
        self.choose = MeasuredChoice(Choose)

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """Hear the communities, select one message, answer with it."""
        heard = yield from self.hear(question)
        best, chances = yield from self._selection(question, heard.messages)
        # Where a sharpness leaves no difference, what was measured decides, and not the order of the communities.
        selected = max(heard.messages, key=lambda one: (chances[one.community], quoted(one.text) == best))
        inputs = {"query": question.query, "attribute": question.attribute, "message": quoted(selected.text)}
        reply = yield from self.reply(self.respond, self.choose, inputs, question.options)
        return dspy.Prediction(
            **reply,
            selected=selected.community,
            selection_probabilities=chances,
            messages=heard.messages,
            failures=heard.failures,
        )

    def _selection(self, question: Question, messages: Sequence[Message]) -> Steps[tuple[str, dict[str, float]]]:
        """The text that best reflects the attribute, and how likely each community's message is to be the one."""
        texts = Counter(quoted(message.text) for message in messages)
        best = next(iter(texts))
        chances = {best: 1.0}
        if len(texts) > 1:
            asked = {"query": question.query, "attribute": question.attribute, "options": list(texts)}
            (chosen,) = yield [Call(self.select, asked, self.base)]
            best, chances = chosen.choice, chosen.probabilities
        return best, {
            message.community: chances[text] / texts[text] for message in messages for text in [quoted(message.text)]
        }
