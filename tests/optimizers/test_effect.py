"""What a community brings is the metric with it minus the metric without it, on the same records."""

from collections.abc import Sequence

import dspy
import pytest

from modplural.optimizers.effect import Effects, measure_effects
from modplural.optimizers.metrics import TaskMetric, mean_figure
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import UnknownCommunityError
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool

WANTED = {"dogs": ("hurts", "share"), "taxes": ("share",)}
"""By query, the words that an answer is scored by."""


def wanted(example: dspy.Example, prediction: dspy.Prediction) -> float:
    return sum(word in prediction.response for word in WANTED[example.query]) / len(WANTED[example.query])


METRIC = TaskMetric("words", "wanted words", wanted, lambda answered, rows, groups: {}, bool)
EXAMPLES = [
    dspy.Example(query="dogs", attribute="animals").with_inputs("query"),
    dspy.Example(query="taxes", attribute="money").with_inputs("query"),
]
SAYINGS = {
    "care": "What hurts somebody fragile deserves compassion.",
    "fairness": "Everybody deserves an honest share of it.",
    "silent": "Nothing of relevance was mentioned here at all.",
}


def overton() -> Overton:
    lms = {name: fake_lm({"": saying}, name=name) for name, saying in SAYINGS.items()}
    pool = CommunityPool(CommunityLM(name, lm) for name, lm in lms.items())
    # The base loses every message, so that the first sentence of the message itself takes its place.
    return Overton(fake_lm({"": "Well."}), pool, strategy="per_message")


def effects(names: Sequence[str]) -> Effects:
    return measure_effects(overton(), names, EXAMPLES, METRIC)


def test_an_effect_is_what_the_answers_lose_without_the_community() -> None:
    found = effects(["care", "fairness", "silent"])

    assert found.whole.value == 1
    assert [(one.community, one.without.value, one.difference.difference, one.share) for one in found.effects] == [
        ("care", 0.75, 0.25, 0.5),
        ("fairness", 0.25, 0.75, 1.0),
        ("silent", 1.0, 0.0, 0.0),
    ]
    care = found.effects[0]
    assert {name: one.difference for name, one in care.by_attribute.items()} == {"animals": 0.5, "money": 0.0}
    assert care.difference.low <= 0.25 <= care.difference.high
    assert found.whole == mean_figure("wanted words", [1.0, 1.0])


def test_the_program_keeps_its_pool_and_every_answer_is_reported() -> None:
    program, answers = overton(), list[int]()
    measure_effects(program, ["care"], EXAMPLES, METRIC, on_answer=lambda: answers.append(1))

    assert [community.name for community in program.pool] == list(SAYINGS)
    assert len(answers) == 2 * len(EXAMPLES)


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(UnknownCommunityError, match="there is no community 'elders'; the pool has care, fairness"):
        effects(["elders"])
    with pytest.raises(ValueError, match="there are none"):
        measure_effects(overton(), ["care"], [], METRIC)
    alone = overton()
    alone.pool.remove("care")
    alone.pool.remove("silent")
    with pytest.raises(ValueError, match="nobody would be left"):
        measure_effects(alone, ["fairness"], EXAMPLES, METRIC)
