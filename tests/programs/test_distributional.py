"""The distributional mode: one distribution for each community, and how they are pooled."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.programs.distributional import Distributional, linear_pool, logarithmic_pool
from modplural.programs.engines.fake import fake_lm
from modplural.programs.pool import CommunityPool, FailurePolicy

QUERY = "May one tell a lie to a friend?"
YES = {"Kindness": 0.9, "Justice": 0.2, "Freedom": 0.7}
"""Probability of yes, by the first word of a message."""


@pytest.fixture
def program(pool: CommunityPool, scripted: Any) -> Distributional:
    def distribution(inputs: Any) -> dict[str, float]:
        yes = YES[inputs["message"].split()[0]]
        return {"yes": yes, "no": 1 - yes}

    program = Distributional(fake_lm(name="base"), pool)
    program.choose = scripted(program.choose.signature, distribution)
    return program


async def test_distributions_are_pooled_equally_unless_weighed(run: Any, program: Distributional) -> None:
    found = await run(program, QUERY, options=["yes", "no"])
    assert found.probabilities == pytest.approx({"yes": 0.6, "no": 0.4})
    assert found.per_community == {
        "care": pytest.approx({"yes": 0.9, "no": 0.1}),
        "fairness": pytest.approx({"yes": 0.2, "no": 0.8}),
        "liberty": pytest.approx({"yes": 0.7, "no": 0.3}),
    }
    assert found.weights == pytest.approx({"care": 1 / 3, "fairness": 1 / 3, "liberty": 1 / 3})
    assert (found.method, found.failures) == ("linear", {})
    assert [message.community for message in found.messages] == ["care", "fairness", "liberty"]


async def test_every_community_is_asked_for_with_its_own_message(run: Any, program: Distributional) -> None:
    await run(program, QUERY, "Germany", ["yes", "no"])
    assert sorted(asked["message"].split()[0] for asked in program.choose.asked) == ["Freedom", "Justice", "Kindness"]
    assert {asked["attribute"] for asked in program.choose.asked} == {"Germany"}


async def test_learned_weights_and_method_count(run: Any, program: Distributional) -> None:
    program.pool.weights.update({"care": 2.0, "fairness": 2.0, "liberty": 0.0})
    assert (await run(program, QUERY, options=["yes", "no"])).probabilities["yes"] == pytest.approx(0.55)
    program.pooling.value = "logarithmic"
    found = await run(program, QUERY, options=["yes", "no"])
    yes, no = math.sqrt(0.9 * 0.2), math.sqrt(0.1 * 0.8)
    assert found.probabilities == pytest.approx({"yes": yes / (yes + no), "no": no / (yes + no)})
    assert found.method == "logarithmic"


async def test_the_weight_of_a_failed_community_goes_to_the_others(run: Any, program: Distributional) -> None:
    program.pool.weights.update({"care": 2.0})
    program.pool["liberty"].lm = fake_lm({"": ValueError("it broke")}, num_retries=0)
    program.failures = FailurePolicy("continue")
    found = await run(program, QUERY, options=["yes", "no"])
    assert found.weights == pytest.approx({"care": 2 / 3, "fairness": 1 / 3})
    assert found.probabilities["yes"] == pytest.approx(2 / 3 * 0.9 + 1 / 3 * 0.2)
    assert list(found.failures) == ["liberty"]


async def test_options_are_needed(run: Any, program: Distributional) -> None:
    with pytest.raises(ValueError, match="Distributional needs options; give the possible answers, two or more"):
        await run(program, QUERY)


@st.composite
def pools(draw: st.DrawFn) -> tuple[dict[str, dict[str, float]], dict[str, float]]:
    def distribution(names: str, least: float) -> dict[str, float]:
        numbers = draw(st.lists(st.floats(least, 1.0), min_size=len(names), max_size=len(names)))
        return {name: number / sum(numbers) for name, number in zip(names, numbers, strict=True)}

    members = "abc"[: draw(st.integers(1, 3))]
    return {name: distribution("xyz", 0.01) for name in members}, distribution(members, 0.01)


@given(pools())
def test_pooled_distributions_are_distributions(drawn: Any) -> None:
    distributions, weights = drawn
    for pooled in (linear_pool(distributions, weights), logarithmic_pool(distributions, weights)):
        assert list(pooled) == ["x", "y", "z"]
        assert math.isclose(sum(pooled.values()), 1.0)
        assert min(pooled.values()) > 0
    for option, share in linear_pool(distributions, weights).items():
        shares = [found[option] for found in distributions.values()]
        assert min(shares) - 1e-12 <= share <= max(shares) + 1e-12
    if len(distributions) == 1:
        assert linear_pool(distributions, weights) == pytest.approx(distributions["a"])
        assert logarithmic_pool(distributions, weights) == pytest.approx(distributions["a"])


def test_a_zero_is_a_veto_only_of_those_who_count() -> None:
    distributions = {"a": {"x": 0.0, "y": 0.5, "z": 0.5}, "b": {"x": 0.6, "y": 0.4, "z": 0.0}}
    assert logarithmic_pool(distributions, {"a": 0.5, "b": 0.5}) == {"x": 0.0, "y": 1.0, "z": 0.0}
    assert logarithmic_pool(distributions, {"a": 0.0, "b": 1.0}) == pytest.approx({"x": 0.6, "y": 0.4, "z": 0.0})


def test_where_every_option_is_vetoed_nothing_is_invented() -> None:
    distributions = {"a": {"x": 0.0, "y": 1.0}, "b": {"x": 1.0, "y": 0.0}}
    with pytest.raises(ValueError, match="every option is impossible for some community"):
        logarithmic_pool(distributions, {"a": 0.5, "b": 0.5})


def test_tiny_probabilities_do_not_vanish() -> None:
    distributions = {"a": {"x": 1e-300, "y": 1e-300, "z": 1.0}}
    assert logarithmic_pool(distributions, {"a": 1.0})["x"] == pytest.approx(1e-300)


async def test_distributions_are_measured_on_the_base_llm(run: Any, pool: CommunityPool) -> None:
    def likelihood(prompt: str, continuation: str) -> float:
        agrees = continuation.strip().lower() == "yes"
        return -0.1 if agrees == ("Kindness" in prompt) else -3.0

    program = Distributional(fake_lm(likelihoods=likelihood, name="base"), pool)
    found = await run(program, QUERY, options=["Lie", "Tell the truth"])
    assert sum(found.probabilities.values()) == pytest.approx(1.0)
    assert all(sum(shares.values()) == pytest.approx(1.0) for shares in found.per_community.values())
    assert {request.model for request in program.base.engine.requests} == {"fake/base"}
    assert len(program.base.engine.requests) >= len(pool)
