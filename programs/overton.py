"""The Overton mode: one response that reflects what every community says.

This file knows how messages become a response; it must not know how they came about.
"""

import re
from collections.abc import Sequence

import dspy

from ..signatures.overton import Restate, Synthesize
from .learned import Setting
from .messages import Message, Sentence, delimit, quoted
from .mode import Mode
from .pool import CommunityPool, FailurePolicy
from .question import Question
from .sentences import ended, first_sentence
from .steps import Call, Steps

STRATEGIES = ("joint", "per_message", "refine", "extractive")
OPENING = "There is more than one way to look at this."
"""What frames the sentences of `per_message` and `extractive`."""

KEPT = 1 / 3
"""Share of a message's content words that a text must hold to count as reflecting the message."""

_WORD = re.compile(r"\w{5,}")
_COMMON = frozenset(
    """about above after again against almost along already although always among another around because become
    becomes before being below between better cannot comes could doing during either enough especially every everybody
    everyone first given going having however important instead itself makes makes making matter matters might never
    often other others ought people perhaps person rather really right shall should simply since somebody someone
    something sometimes still their theirs them themselves there therefore these thing things think those though through
    towards under unless until upon usually value values whatever where whether which while whose within without would
    wrong yours yourself""".split()
)


class Overton(Mode):
    """Every community comments on the query, and the base LLM synthesizes one response that reflects all of them.

    `Prediction(response, messages, strategy, failures)`, and with all strategies but `joint` `sentences`.

    How it synthesizes is a saved, learned setting, `synthesis.value`:

    - `joint`: all messages in one prompt, as in the paper (section 2.2).
    - `per_message`: one sentence for each message, joined after an opening.
    - `refine`: a joint draft, and one sentence more for each message that the draft left out.
    - `extractive`: the messages in their own words, joined after an opening. The base LLM writes nothing, so that
      nothing is lost: for communities that say it well and a base LLM that is too small to say it again.

    A restated sentence that lost its message, as small LMs write them, is replaced by the first sentence of the message
    itself. What is lost or left out is told by words: see `reflects`.
    """

    attribute_use = "refused"
    options_use = "refused"

    def __init__(
        self,
        base: dspy.LM,
        pool: CommunityPool,
        *,
        strategy: str = "joint",
        failures: FailurePolicy | None = None,
    ) -> None:
        """Bind the base LLM and the communities; `strategy` is one of `STRATEGIES`."""
        super().__init__(base, pool, failures=failures)
        self.synthesis = Setting("the synthesis strategy", strategy, STRATEGIES)
        self.synthesize = dspy.Predict(Synthesize)
        self.restate = dspy.Predict(Restate)

    def answer(self, question: Question) -> Steps[dspy.Prediction]:
        """Hear the communities, then synthesize."""
        heard = yield from self.hear(question)
        query, strategy = question.query, self.synthesis.value
        opening, sentences = OPENING, tuple[Sentence, ...]()
        if strategy in ("joint", "refine"):
            opening = yield from self._draft(query, heard.messages)
        if strategy == "extractive":
            sentences = tuple(Sentence(message.community, quoted(message.text)) for message in heard.messages)
        elif strategy != "joint":
            left_out = heard.messages if strategy == "per_message" else _left_out(opening, query, heard.messages)
            sentences = yield from self._restated(query, left_out)
        return dspy.Prediction(
            response=_joined(opening, sentences),
            messages=heard.messages,
            strategy=strategy,
            failures=heard.failures,
            **({} if strategy == "joint" else {"sentences": sentences}),
        )

    def _draft(self, query: str, messages: Sequence[Message]) -> Steps[str]:
        (drafted,) = yield [Call(self.synthesize, {"query": query, "messages": delimit(messages)}, self.base)]
        return str(drafted.response)

    def _restated(self, query: str, messages: Sequence[Message]) -> Steps[tuple[Sentence, ...]]:
        restated = yield [
            Call(self.restate, {"query": query, "message": quoted(message.text)}, self.base) for message in messages
        ]
        return tuple(
            _sentence(query, message, answer.sentence) for message, answer in zip(messages, restated, strict=True)
        )


def reflects(text: str, message: str, query: str) -> bool:
    """Whether a text reflects a message: whether it holds a third of the message's content words.

    Content words are those of five letters or more that are neither common nor in the query, which every text about the
    query shares. A measure of words misses paraphrases; that costs a repetition, where its opposite would silence a
    community. It is deterministic and asks no LM.
    """
    said = _content_words(message) - _content_words(query)
    return not said or len(said & _content_words(text)) >= KEPT * len(said)


def _content_words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower())) - _COMMON


def _sentence(query: str, message: Message, restated: str) -> Sentence:
    sentence, text = first_sentence(restated), quoted(message.text)
    kept = sentence if reflects(sentence, text, query) else first_sentence(text)
    return Sentence(message.community, kept)


def _joined(opening: str, sentences: Sequence[Sentence]) -> str:
    """One text, in which nobody's words run into those of the next; an opening that stands alone stays as it is."""
    return " ".join([ended(opening), *(ended(sentence.text) for sentence in sentences)]) if sentences else opening


def _left_out(draft: str, query: str, messages: Sequence[Message]) -> list[Message]:
    return [message for message in messages if not reflects(draft, quoted(message.text), query)]
