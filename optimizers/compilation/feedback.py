"""What is wrong with a prediction, in words that an LM can learn from: one function for each kind of task.

The words name what was missed and who was ignored; they never give an answer away that a prompt could repeat. This file
knows examples and predictions; it must not know optimizers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dspy

from ...programs.messages import Message, quoted
from ...programs.overton import reflects
from ..metrics import COVERED, Scorer, TaskMetric, value_coverage
from .objective import Feedback


def feedback_for(metric: TaskMetric, scorer: Scorer | None) -> Feedback:
    """The feedback of a task.

    Args:
        metric: The task's metric.
        scorer: What scores value coverage; without it only ignored communities are named.
    """

    def feedback(example: dspy.Example, prediction: dspy.Prediction) -> str:
        if "response" in prediction:
            parts = [_missed(example, prediction, scorer), _ignored(example, prediction)]
        elif "gold_distribution" in example:
            parts = [_off(example, prediction), _furthest(example, prediction)]
        else:
            parts = [_wrong(example, prediction)]
        score = metric.row(example, prediction)
        direction = "higher" if metric.higher_is_better else "lower"
        return " ".join([f"{metric.primary}: {score:.2f} ({direction} is better).", *filter(None, parts)])

    return feedback


def _missed(example: dspy.Example, prediction: dspy.Prediction, scorer: Scorer | None) -> str:
    """The values that no sentence of the response takes up."""
    if scorer is None or "explanation" not in example:
        return ""
    found = value_coverage(prediction.response, example.explanation, scorer)
    missed = [value for value, score in zip(example.vrd, found, strict=True) if score <= COVERED]
    if not missed:
        return "No value was missed."
    return f"Missed {len(missed)} of {len(found)} values: {', '.join(missed)}."


def _ignored(example: dspy.Example, prediction: dspy.Prediction) -> str:
    """The communities whose message the response does not reflect."""
    messages = [_message(one) for one in prediction.get("messages") or ()]
    ignored = [
        message.community
        for message in messages
        if not reflects(prediction.response, quoted(message.text), example.query)
    ]
    if not messages:
        return ""
    return f"Ignored what these communities say: {', '.join(ignored)}." if ignored else "No community was ignored."


def _message(one: Any) -> Message:
    return Message(**one) if isinstance(one, Mapping) else one


def _off(example: dspy.Example, prediction: dspy.Prediction) -> str:
    """The options that got most too much and most too little."""
    gold, predicted = example.gold_distribution, prediction.probabilities
    errors = {option: predicted[option] - gold[option] for option in gold}
    high, low = max(errors, key=errors.__getitem__), min(errors, key=errors.__getitem__)
    if errors[high] < 0.05:
        return "The distribution is close."
    return (
        f"Most too likely: {high!r} ({predicted[high]:.0%} where people gave {gold[high]:.0%})."
        f" Most too unlikely: {low!r} ({predicted[low]:.0%} where people gave {gold[low]:.0%})."
    )


def _furthest(example: dspy.Example, prediction: dspy.Prediction) -> str:
    """The community that is furthest from what people gave."""
    if not prediction.get("per_community"):
        return ""
    gold = example.gold_distribution

    def distance(name: str) -> float:
        return sum(abs(prediction.per_community[name][option] - gold[option]) for option in gold)

    return f"Furthest off is the community {max(prediction.per_community, key=distance)!r}."


def _wrong(example: dspy.Example, prediction: dspy.Prediction) -> str:
    """The option that was chosen instead of the right one, and whose message led there."""
    heard = f" from the message of {prediction.selected!r}" if prediction.get("selected") else ""
    if prediction.option == example.option:
        return f"Right: {example.option!r}{heard}."
    sure = prediction.probabilities[prediction.option]
    return f"Wrong: {prediction.option!r} ({sure:.0%} sure){heard}, where {example.option!r} is right."
