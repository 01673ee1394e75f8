"""The table of tasks: rows, figures and DSPy's view of them, over examples of our own sample."""

import math
from importlib.resources import as_file
from typing import Any

import dspy
import pytest

from modplural.data import TASKS, read_records, sample
from modplural.optimizers.metrics import MAX_DISTANCE, TASK_METRICS, Scorer, Verdict, metric_for

DISTRIBUTIONAL = ("distributional-moralchoice", "distributional-globalopinionqa")


def examples(task: str, limit: int = 6) -> list[dspy.Example]:
    with as_file(sample(task)) as records:
        return read_records(records, limit=limit).examples()


def question(shares: dict[str, float]) -> dspy.Example:
    return dspy.Example(query="Tea?", options=list(shares), gold_distribution=shares)


class LikesLong:
    """Prefers the longer response."""

    name = "long"

    def compare(self, query: str, response: str, baseline: str) -> Verdict:
        share = 0.5 + 0.4 * ((len(response) > len(baseline)) - (len(response) < len(baseline)))
        return Verdict(share, share)


def test_every_task_has_a_metric() -> None:
    assert list(TASK_METRICS) == list(TASKS)


def test_an_unknown_task_is_named() -> None:
    with pytest.raises(ValueError, match="unknown task 'overtone'"):
        metric_for("overtone")


def test_coverage_of_the_sample(overlap: Scorer) -> None:
    gold = examples("overton-vk")
    metric = metric_for("overton-vk", overlap)
    right = [dspy.Prediction(response=" ".join(example.explanation)) for example in gold]
    nothing = dspy.Prediction(response="")
    assert all(row > 0.33 for row in metric.rows(gold, right))
    assert metric.rows(gold[:1], [nothing]) == [0.0]
    figures = metric.summary(gold, [*right[:-1], None])
    assert metric.primary in figures
    assert figures["value coverage"].n == len(gold) - 1
    assert figures["value coverage"].scorer == "overlap"
    assert figures["share above 0.33"].value == 1
    assert figures["words"].value > 1
    assert metric(gold[0], right[0], trace=[]) == 1.0
    assert metric(gold[0], nothing, trace=[]) == 0.0


def test_a_judge_compares_with_the_baseline_of_the_same_query() -> None:
    gold = examples("overton-judge", 3)
    baseline = {example.query: "medium" for example in gold}
    metric = metric_for("overton-judge", judge=LikesLong(), baseline=baseline)  # type: ignore[arg-type]
    predictions = [dspy.Prediction(response=text) for text in ("longer text", "short", "normal")]
    assert metric.rows(gold, predictions) == [1.0, 0.0, 0.5]
    figures = metric.summary(gold, predictions)
    assert {name: figures[name].value for name in ("win", "tie", "loss")} == pytest.approx(
        {"win": 1 / 3, "tie": 1 / 3, "loss": 1 / 3}
    )
    assert figures["win score"].value == 0.5
    assert figures["follows first place"].value == 0
    with pytest.raises(ValueError, match="no response to 'Other'"):
        metric(dspy.Example(query="Other"), predictions[0])


def test_a_judge_task_without_a_judge_says_what_is_missing() -> None:
    with pytest.raises(ValueError, match="give it: judge, baseline"):
        metric_for("overton-judge")


def test_stances_have_three_ways_and_two() -> None:
    gold = [dspy.Example(situation=f"s{n}", option=option) for n, option in enumerate(["Support", "Oppose", "Either"])]
    predictions = [dspy.Prediction(option="Support", probabilities={"Support": 0.6, "Oppose": 0.4})] * 3
    metric = metric_for("steerable-vk")
    figures = metric.summary(gold, predictions)
    assert metric.rows(gold, predictions) == [1.0, 0.0, 0.0]
    assert figures["accuracy"].value == pytest.approx(1 / 3)
    assert (figures["binary accuracy"].value, figures["binary accuracy"].n) == (0.5, 2)
    assert figures["share not binary"].value == pytest.approx(1 / 3)
    assert figures["expected calibration error"].value == pytest.approx(0.6 - 1 / 3)
    assert "expected calibration error" not in metric.summary(gold, [dspy.Prediction(option="Support")] * 3)


@pytest.mark.parametrize("task", ["steerable-opinionqa", *DISTRIBUTIONAL])
def test_questions_with_one_option_are_counted_apart(task: str) -> None:
    gold = [question({"yes": 0.4, "no": 0.4, "why": 0.2}), question({"only": 1.0})]
    predictions = [
        dspy.Prediction(probabilities={"yes": 0.2, "no": 0.7, "why": 0.1}),
        dspy.Prediction(probabilities={"only": 1.0}),
    ]
    metric = metric_for(task)
    rows = metric.rows(gold, predictions)
    figures = metric.summary(gold, predictions, rows)
    assert math.isnan(rows[1])
    assert figures[metric.primary].n == 1
    assert figures["most likely match"].value == 1
    assert figures["share with one option"].value == 0.5
    assert metric(gold[1], predictions[1]) == 0.0


@pytest.mark.parametrize("task", DISTRIBUTIONAL)
def test_a_distance_is_turned_round_for_optimizers(task: str) -> None:
    metric = metric_for(task)
    gold = question({"yes": 1.0, "no": 0.0})
    right, wrong, even = (dspy.Prediction(probabilities={"yes": p, "no": 1 - p}) for p in (1.0, 0.0, 0.5))
    assert metric.rows([gold] * 2, [right, wrong]) == pytest.approx([0, MAX_DISTANCE])
    assert not metric.higher_is_better
    assert (metric(gold, right), metric(gold, wrong)) == (1.0, pytest.approx(0))
    assert metric(gold, wrong) < metric(gold, even) < metric(gold, right)
    assert [metric(gold, prediction, trace=[]) for prediction in (right, even, wrong)] == [1.0, 0.0, 0.0]
    figures = metric.summary([gold] * 2, [right, wrong])
    assert figures["divergence in bits"].value == pytest.approx(0.5)
    assert figures["most likely match"].value == 0.5


@pytest.mark.parametrize("task", DISTRIBUTIONAL)
def test_gold_of_the_sample_is_right(task: str) -> None:
    gold = examples(task)
    predictions = [dspy.Prediction(probabilities=example.gold_distribution) for example in gold]
    assert metric_for(task).rows(gold, predictions) == [0.0] * len(gold)


def test_a_failed_prediction_has_no_row() -> None:
    rows = metric_for("steerable-vk").rows([dspy.Example(option="Support")], [None])
    assert math.isnan(rows[0])


def test_it_is_a_metric_of_dspy() -> None:
    class Always(dspy.Module):  # type: ignore[misc]
        def forward(self, **asked: Any) -> dspy.Prediction:
            return dspy.Prediction(option="Support")

    devset = examples("steerable-vk", 12)
    share = sum(example.option == "Support" for example in devset) / len(devset)
    found = dspy.Evaluate(devset=devset, metric=metric_for("steerable-vk"), num_threads=1, display_progress=False)(
        Always()
    )
    assert found.score == pytest.approx(100 * share, abs=0.01)
