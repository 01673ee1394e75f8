"""Whether a response is faithful to the messages it was made of: what of each it says, and who is behind each sentence.

Both directions are scored, sentence by sentence. *Said* is how much of a message follows from the response: the mean
over the message's sentences of the best score(premise = a sentence of the response, hypothesis = the message's).
*Taken* is how far the response draws on the message: the best score(premise = a sentence of the message, hypothesis = a
sentence of the response). A sentence that condenses a message is taken and hardly said; one that everybody would agree
to is taken by all and says nothing of any. So a community is reflected by the mean of both.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from ..programs.messages import Message
from .metrics import Scorer, split_sentences
from .metrics.scorers import Scores


class Thresholds(NamedTuple):
    """Where scores are parted; both from 0 to 1.

    The defaults part sentence embeddings. Of responses made of the first sentence of three communities' messages (the
    held-out comments that come along), these three are reflected at 0.77 or more and the others at 0.63 or less, each
    nine times out of ten. Of 36 sentences that the embedded LM made of one message each, 92% follow from that message
    at 0.8 or more, and 3% from any other one. Probabilities of entailment lie near 0 or 1 and are parted by any such
    numbers.

    Attributes:
        dropped_below: A community that is reflected less was dropped.
        behind_from: A community from whose message a sentence follows so far stands behind it.
    """

    dropped_below: float = 0.65
    behind_from: float = 0.8


DEFAULT_THRESHOLDS = Thresholds()


@dataclass(frozen=True)
class Reflection:
    """How much of one community's message a response reflects; all from 0 to 1.

    Attributes:
        community: Its name.
        said: How much of the message follows from the response.
        taken: How far the best sentence of the response follows from the message.
    """

    community: str
    said: float
    taken: float

    @property
    def score(self) -> float:
        """The mean of both."""
        return (self.said + self.taken) / 2


@dataclass(frozen=True)
class AttributedSentence:
    """A sentence of a response, and how far it follows from the communities that stand behind it, the most first."""

    text: str
    communities: Mapping[str, float]


@dataclass(frozen=True)
class Faithfulness:
    """How faithful one response is.

    Attributes:
        scorer: The scorer's name; scores of different scorers do not compare, nor does what a threshold means to them.
        thresholds: What counts as reflected, and as standing behind a sentence.
        reflections: One for each community whose message says something.
        sentences: The response's sentences; nobody may stand behind one.
    """

    scorer: str
    thresholds: Thresholds
    reflections: tuple[Reflection, ...]
    sentences: tuple[AttributedSentence, ...]

    @property
    def dropped(self) -> tuple[str, ...]:
        """The communities that the response does not reflect."""
        return tuple(one.community for one in self.reflections if one.score < self.thresholds.dropped_below)


def faithfulness(
    response: str, messages: Sequence[Message], scorer: Scorer, thresholds: Thresholds = DEFAULT_THRESHOLDS
) -> Faithfulness:
    """Compare a response with the messages it was made of.

    Args:
        response: Any text; one without a sentence reflects nobody.
        messages: What the communities said; those without a sentence are left out.
        scorer: What decides how far one text follows from another.
        thresholds: What counts as reflected, and as standing behind a sentence.

    Raises:
        ValueError: A threshold is no score, or two messages are of one community.
    """
    if not all(0 <= threshold <= 1 for threshold in thresholds):
        raise ValueError(f"the thresholds are {tuple(thresholds)}; scores lie between 0 and 1")
    names = [message.community for message in messages]
    if len(set(names)) < len(names):
        raise ValueError(f"there are several messages of one community among {names}; compare one of each")
    sentences = split_sentences(response)
    said = {message.community: pieces for message in messages if (pieces := split_sentences(message.text))}
    behind = {name: _follows(pieces, sentences, scorer) for name, pieces in said.items()}
    reflections = tuple(
        Reflection(name, float(_follows(sentences, pieces, scorer).mean()), float(behind[name].max(initial=0.0)))
        for name, pieces in said.items()
    )
    attributed = tuple(
        AttributedSentence(
            text, _standing({name: float(scores[place]) for name, scores in behind.items()}, thresholds.behind_from)
        )
        for place, text in enumerate(sentences)
    )
    return Faithfulness(scorer.name, thresholds, reflections, attributed)


def _follows(premises: Sequence[str], hypotheses: Sequence[str], scorer: Scorer) -> Scores:
    """How far each hypothesis follows from the premise that it follows from most: [hypotheses]; 0 without a premise."""
    if not premises or not hypotheses:
        return np.zeros(len(hypotheses))
    return np.asarray(scorer.score(premises, hypotheses).max(axis=0))


def _standing(scores: Mapping[str, float], enough: float) -> dict[str, float]:
    behind = {name: score for name, score in scores.items() if score >= enough}
    return dict(sorted(behind.items(), key=lambda found: -found[1]))
