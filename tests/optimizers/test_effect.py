"""What a community brings is the metric with it minus the metric without it, on the same records."""

import math
from collections.abc import Sequence
from typing import Any

import dspy
import pytest

from modplural.optimizers.effect import Effects, measure_effects
from modplural.optimizers.journal import RunError
from modplural.optimizers.metrics import TaskMetric, mean_figure
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import UnknownCommunityError
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool, FailurePolicy

WANTED = {"animals": ("hurts", "share"), "money": ("share",)}
"""By attribute, the words that an answer is scored by."""


def wanted(example: dspy.Example, prediction: dspy.Prediction) -> float:
    words = WANTED[example.attribute]
    return sum(word in prediction.response for word in words) / len(words)


def about(attribute: str, *queries: str) -> list[dspy.Example]:
    return [dspy.Example(id=query, query=query, attribute=attribute).with_inputs("query") for query in queries]


METRIC = TaskMetric("words", "wanted words", wanted, lambda answered, rows, groups: {}, bool)
EXAMPLES = [
    *about("animals", "dogs", "cats", "cows", "bees", "fish"),
    *about("money", "taxes", "rents", "loans", "tips", "fines"),
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


def effects(names: Sequence[str], examples: Sequence[dspy.Example] = EXAMPLES, program: Any = None) -> Effects:
    return measure_effects(program or overton(), names, examples, METRIC)


class Failing(Overton):
    """Fails on some queries, for want of a community or in any case."""

    always: frozenset[str] = frozenset()
    without_care: frozenset[str] = frozenset()

    def forward(self, query: str, **inputs: Any) -> dspy.Prediction:
        lacks_care = "care" not in [community.name for community in self.pool]
        if query in self.always or (lacks_care and query in self.without_care):
            raise ConnectionError("nobody at http://me:hunter2@there")
        return super().forward(query, **inputs)


def failing(always: str = "", without_care: str = "") -> Failing:
    made = overton()
    program = Failing(made.base, made.pool, strategy="per_message")
    program.always, program.without_care = frozenset(always.split()), frozenset(without_care.split())
    return program


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
    assert found.whole == mean_figure("wanted words", [1.0] * 10)
    assert not found.failed


def test_few_situations_are_measured_and_have_no_interval() -> None:
    found = effects(["care"], [*EXAMPLES[:5], *EXAMPLES[5:9], EXAMPLES[5]])
    care = found.effects[0]

    assert care.difference.low < care.difference.high
    assert not math.isnan(care.by_attribute["animals"].low)
    money = care.by_attribute["money"]
    assert (money.difference, money.n, money.groups) == (0.0, 5, 4)
    assert all(map(math.isnan, (money.low, money.high, money.favours_first, money.p_value)))

    alone = effects(["care"], EXAMPLES[:1])
    assert (alone.whole.value, alone.whole.n) == (1.0, 1)
    assert all(math.isnan(one.low) for one in (alone.whole, alone.effects[0].without, alone.effects[0].difference))


def test_a_record_that_fails_is_in_no_pair_and_reported() -> None:
    answers = list[int]()
    found = measure_effects(
        failing("dogs", "cats"), ["care", "silent"], EXAMPLES, METRIC, on_answer=lambda: answers.append(1)
    )
    care, silent = found.effects

    assert len(answers) == 3 * len(EXAMPLES)
    assert found.whole.n == 9
    assert (care.difference.n, care.without.n, care.difference.difference) == (8, 8, pytest.approx(3 * 0.5 / 8))
    assert (care.share, silent.share) == (3 / 8, 0.0)
    assert silent.difference.n == 9
    assert [(one.record, one.without) for one in found.failed] == [
        ("dogs", None),
        ("dogs", "care"),
        ("cats", "care"),
        ("dogs", "silent"),
    ]
    assert {one.reason for one in found.failed} == {"ConnectionError: nobody at http://there"}


def test_where_nothing_is_answered_the_reason_is_told() -> None:
    names = " ".join(example.query for example in EXAMPLES)
    with pytest.raises(RunError, match="all of the first 10 records failed, the last with: ConnectionError: nobody"):
        effects(["care"], program=failing(names))
    with pytest.raises(RunError, match="all of the first 2 records failed"):
        effects(["care"], EXAMPLES[:2], failing("", names))


def test_the_program_keeps_its_pool_and_every_answer_is_reported() -> None:
    program, answers = overton(), list[int]()
    measure_effects(program, ["care"], EXAMPLES, METRIC, on_answer=lambda: answers.append(1))

    assert [community.name for community in program.pool] == list(SAYINGS)
    assert len(answers) == 2 * len(EXAMPLES)


def test_a_pool_that_has_to_be_whole_is_measured_without_one() -> None:
    program = overton()
    program.failures = FailurePolicy("continue", at_least=len(program.pool))
    assert effects(["care"], program=program).effects == effects(["care"]).effects


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
