"""What a response reflects of the messages it was made of, with a scorer that can be worked out by hand."""

from collections.abc import Sequence

import numpy as np
import pytest

from modplural.optimizers.faithfulness import DEFAULT_THRESHOLDS, Thresholds, faithfulness
from modplural.optimizers.metrics import EmbeddingScorer
from modplural.optimizers.metrics.scorers import Scores
from modplural.programs.messages import Message


class Entails:
    """A sentence follows from another one as far as that has its words."""

    name = "words"

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        def share(premise: str, hypothesis: str) -> float:
            wanted = set(hypothesis.lower().strip(".").split())
            return len(wanted & set(premise.lower().strip(".").split())) / len(wanted)

        return np.array([[share(premise, hypothesis) for hypothesis in hypotheses] for premise in premises])


CARE = Message("care", "Kindness protects children. Nobody should suffer.")
DUTY = Message("duty", "Rules keep order.")
LUCK = Message("luck", "Chance decides everything.")


def test_both_directions_are_scored() -> None:
    found = faithfulness("Kindness protects children and elders. Rules keep order.", [CARE, DUTY, LUCK], Entails())
    care, duty, luck = found.reflections
    assert (care.community, care.said, care.taken) == ("care", 0.5, 0.6)  # one of two sentences; 3 of 5 words
    assert (duty.said, duty.taken, duty.score) == (1, 1, 1)
    assert (luck.said, luck.taken, luck.score) == (0, 0, 0)
    assert found.dropped == ("care", "luck")
    assert (found.scorer, found.thresholds) == ("words", DEFAULT_THRESHOLDS)


def test_sentences_are_attributed_to_those_who_stand_behind_them() -> None:
    both = Message("both", "Rules keep order. Kindness protects.")
    response = "Rules keep order. It depends. Kindness protects children."
    found = faithfulness(response, [CARE, DUTY, both], Entails(), Thresholds(behind_from=0.6))
    assert [(one.text, dict(one.communities)) for one in found.sentences] == [
        ("Rules keep order.", {"duty": 1.0, "both": 1.0}),
        ("It depends.", {}),
        ("Kindness protects children.", {"care": 1.0, "both": pytest.approx(2 / 3)}),
    ]
    assert list(found.sentences[2].communities) == ["care", "both"]


def test_nothing_is_said_by_an_empty_response() -> None:
    found = faithfulness(" \n", [CARE, Message("mute", "...")], Entails())
    assert found.sentences == ()
    assert [(one.community, one.score) for one in found.reflections] == [("care", 0)]
    assert found.dropped == ("care",)


def test_without_messages_nobody_stands_behind_a_sentence() -> None:
    found = faithfulness("It depends.", [], Entails())
    assert (found.reflections, found.dropped) == ((), ())
    assert dict(found.sentences[0].communities) == {}


def test_what_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match=r"thresholds are \(1\.5, 0\.8\)"):
        faithfulness("So.", [CARE], Entails(), Thresholds(1.5))
    with pytest.raises(ValueError, match="several messages of one community"):
        faithfulness("So.", [CARE, CARE], Entails())


def test_embeddings_find_the_community_that_was_dropped() -> None:
    messages = [
        Message(
            "care", "Reading her diary would hurt your daughter. She deserves tenderness and protection from harm."
        ),
        Message("fairness", "Both of you have an equal right to privacy. It is unjust to read what you would hide."),
        Message(
            "authority", "Parents are responsible and may demand obedience. A child should respect their decision."
        ),
    ]
    response = (
        "Some say that reading the diary would hurt your daughter, who deserves tenderness. "
        "Others hold that you both have an equal right to privacy."
    )
    found = faithfulness(response, messages, EmbeddingScorer())
    assert found.dropped == ("authority",)
    assert [next(iter(sentence.communities)) for sentence in found.sentences] == ["care", "fairness"]
