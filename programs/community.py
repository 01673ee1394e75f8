"""One community and the LM that speaks for it.

This file knows a single community; it must not know others, nor what becomes of its messages.
"""

import re
from collections.abc import Callable, Sequence
from typing import Any

import dspy

from ..signatures.community import Comment
from .memory import place_of
from .messages import Message
from .program import Stepped, check_lm
from .steps import Call, Steps

_NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")


class CommunityLM(Stepped):
    """An LM that speaks for a community: a fine-tuned one, or any LM with a persona and a few messages as examples.

    The examples come before the demos of the predictor `comment` in every prompt, and not among them: they are who the
    community is, while demos come and go with optimizers.

    Attributes:
        name: What predictions call the community; a slug such as `care` or `news-left`.
        description: Who the community is, in a sentence; its name where nothing was said.
        lm: The LM that speaks.
        comment: The predictor of `modplural.signatures.community.Comment`; a persona is its instructions.
        examples: Messages as the community would write them, each with its query.
    """

    def __init__(
        self,
        name: str,
        lm: dspy.LM,
        *,
        description: str = "",
        persona: str | None = None,
        examples: Sequence[dspy.Example] = (),
    ) -> None:
        """Say who the community is and which LM speaks for it.

        Args:
            name: Lower-case letters and digits, single hyphens or underscores between them.
            lm: Any LM that DSPy can call.
            description: Who the community is; the mixture of experts routes by it.
            persona: Instructions that make the LM speak for the community.
            examples: `dspy.Example(query=..., message=...)`.

        Raises:
            ValueError: The name is no slug, the persona is empty, or an example lacks a query or a message.
        """
        super().__init__()
        if not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name for a community: it is used in prompts, files and settings. Use lower-case"
                " letters, digits and single hyphens or underscores between them, such as 'care' or 'news-left'"
            )
        if persona is not None and not persona.strip():
            raise ValueError(f"the persona of {name!r} is empty, so its LM would be told nothing; leave it out instead")
        self.name = name
        self.description = description.strip() or name
        self.lm = lm
        self.comment = dspy.Predict(Comment if persona is None else Comment.with_instructions(persona))
        self.examples = [_checked(example, name) for example in examples]

    def get_lm(self) -> dspy.LM:
        """The LM that speaks."""
        return self.lm

    def set_lm(self, lm: dspy.LM) -> None:
        """Make another LM speak for the community.

        Raises:
            TypeError: It is no LM.
        """
        check_lm(lm)
        super().set_lm(lm)
        self.lm = lm

    def steps(self, query: str) -> Steps[dspy.Prediction]:
        """Say something about a query: `Prediction(message)`."""
        (prediction,) = yield [self.call(query)]
        return dspy.Prediction(message=prediction.message)

    def call(
        self,
        query: str,
        *,
        catch: bool = False,
        timeout: float | None = None,
        listener: Callable[[Message], None] | None = None,
    ) -> Call:
        """The call that asks this community, for a batch; `listener` is told the message as soon as it is there."""

        def tell(prediction: dspy.Prediction) -> None:
            if listener is not None:
                listener(Message(self.name, prediction.message))

        inputs: dict[str, Any] = {"query": query}
        if self.examples:
            inputs["demos"] = [*self.examples, *self.comment.demos]
        kept = place_of(self, query)
        return Call(self.comment, inputs, self.lm, catch=catch, timeout=timeout, answered=tell, kept=kept)


def _checked(example: dspy.Example, community: str) -> dspy.Example:
    if not example.get("query") or not example.get("message"):
        raise ValueError(f"an example of {community!r} needs a query and a message; got {example.toDict()}")
    return dspy.Example(query=example.query, message=example.message).with_inputs("query")
