"""Feedback says what was missed, who was ignored, and where a distribution is off."""

import dspy
import numpy as np

from modplural.optimizers.compilation.feedback import feedback_for
from modplural.optimizers.compilation.objective import Explained, Objective
from modplural.optimizers.metrics import Scorer, metric_for
from modplural.programs.messages import Message


class Same:
    """Scores 1 where premise and hypothesis share a word of seven letters or more."""

    name = "same"

    def score(self, premises: list[str], hypotheses: list[str]) -> np.ndarray:
        words = [
            [{word.strip(".,").lower() for word in text.split() if len(word) > 6} for text in texts]
            for texts in (premises, hypotheses)
        ]
        return np.array([[float(bool(one & other)) for other in words[1]] for one in words[0]])


def said(task: str, example: dspy.Example, prediction: dspy.Prediction, scorer: Scorer | None = None) -> str:
    return feedback_for(metric_for(task, scorer), scorer)(example, prediction)


def test_overton_hears_which_values_were_missed_and_who_was_ignored() -> None:
    example = dspy.Example(
        query="May one lie?",
        vrd=["Honesty", "Kindness"],
        explanation=["Telling the truth keeps a promise.", "Sparing somebody feelings is gentle."],
    )
    messages = [
        Message("care", "Gentle words spare feelings and comfort people."),
        Message("duty", "Promises bind whoever gave them."),
    ]
    prediction = dspy.Prediction(
        response="Lying breaks a promise, and those bind whoever gave them.", messages=messages
    )
    assert said("overton-vk", example, prediction, Same()) == (
        "value coverage: 0.50 (higher is better). Missed 1 of 2 values: Kindness."
        " Ignored what these communities say: care."
    )
    kept = [{"community": message.community, "text": message.text} for message in messages]
    whole = dspy.Prediction(
        response="Promises bind: a promise does. Sparing feelings, gentle words comfort people.",
        messages=kept,
    )
    assert said("overton-vk", example, whole, Same()).endswith("No value was missed. No community was ignored.")


def test_distributional_hears_where_it_is_off_and_who_is_furthest() -> None:
    example = dspy.Example(gold_distribution={"yes": 0.9, "no": 0.1})
    prediction = dspy.Prediction(
        probabilities={"yes": 0.4, "no": 0.6},
        per_community={"care": {"yes": 0.8, "no": 0.2}, "duty": {"yes": 0.0, "no": 1.0}},
    )
    found = said("distributional-globalopinionqa", example, prediction)
    assert "Most too likely: 'no' (60% where people gave 10%)" in found
    assert "Furthest off is the community 'duty'" in found
    close = dspy.Prediction(probabilities={"yes": 0.88, "no": 0.12})
    assert said("distributional-globalopinionqa", example, close).endswith("The distribution is close.")


def test_steerable_hears_what_was_right_and_whose_message_led_astray() -> None:
    example = dspy.Example(option="Support", options=["Support", "Oppose"])
    wrong = dspy.Prediction(option="Oppose", probabilities={"Support": 0.3, "Oppose": 0.7}, selected="duty")
    assert said("steerable-vk", example, wrong).endswith(
        "Wrong: 'Oppose' (70% sure) from the message of 'duty', where 'Support' is right."
    )
    right = dspy.Prediction(option="Support", probabilities={"Support": 0.6, "Oppose": 0.4})
    assert said("steerable-vk", example, right).endswith("Right: 'Support'.")


def test_gepa_gets_the_score_of_an_answer_also_where_there_is_a_trace() -> None:
    metric = metric_for("distributional-globalopinionqa")
    explained = Explained(Objective(metric), feedback_for(metric, None))
    example = dspy.Example(gold_distribution={"yes": 0.9, "no": 0.1})
    prediction = dspy.Prediction(probabilities={"yes": 0.4, "no": 0.6})
    found = explained(example, prediction, [], "choose", [])
    assert found.score == metric(example, prediction)
    assert 0 < found.score < 1
    assert found.feedback == said("distributional-globalopinionqa", example, prediction)
