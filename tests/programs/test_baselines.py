"""The baselines: called like the modes, each with the wording for its form of question."""

from typing import Any

import pytest

from modplural.programs.baselines import MixtureOfExperts, Prompted, Vanilla
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import CommunityError, EmptyPoolError
from modplural.programs.measurement import Measurement
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool, FailurePolicy
from modplural.programs.steerable import Steerable

QUERY = "May one tell a lie to a friend?"
OPTIONS = ["yes", "no"]


def with_choices(program: Any, scripted: Any) -> Any:
    for name in ("choose", "choose_for"):
        choice = scripted(getattr(program, name).signature, lambda inputs: {"yes": 0.75, "no": 0.25})
        setattr(program, name, choice)
    return program


@pytest.mark.parametrize("kind", [Vanilla, Prompted])
async def test_each_form_of_question_is_answered_in_its_form(run: Any, kind: Any, scripted: Any) -> None:
    program = with_choices(kind(fake_lm({"": "It depends."})), scripted)
    assert (await run(program, QUERY)).toDict() == {"response": "It depends."}
    assert (await run(program, QUERY, "care")).toDict() == {"response": "It depends."}
    for attribute in (None, "care"):
        found = await run(program, QUERY, attribute, OPTIONS)
        assert found.toDict() == {"option": "yes", "probabilities": {"yes": 0.75, "no": 0.25}}
    assert program.choose.asked == [{"query": QUERY, "options": OPTIONS}]
    assert program.choose_for.asked == [{"query": QUERY, "attribute": "care", "options": OPTIONS}]


def test_vanilla_asks_nothing_but_the_query() -> None:
    program = Vanilla(fake_lm({"": "It depends."}))
    program(QUERY)
    assert program.base.engine.prompts == (f"Answer the query.\n{QUERY}",)


def test_prompted_asks_for_pluralism_in_every_form() -> None:
    program = Prompted(fake_lm({"": "It depends."}))
    for _, predictor in program.named_predictors():
        assert "diverse" in predictor.signature.instructions
        assert "perspectives" in predictor.signature.instructions


@pytest.fixture
def experts(pool: CommunityPool, scripted: Any) -> MixtureOfExperts:
    program = with_choices(MixtureOfExperts(fake_lm({"": "It depends."}, name="base"), pool), scripted)
    shares = {"care": 0.1, "fairness": 0.7, "liberty": 0.2}
    program.route = scripted(
        program.route.signature, lambda inputs: {option: shares[option.split(":")[0]] for option in inputs["options"]}
    )
    return program


async def test_only_the_community_that_was_routed_to_is_asked(run: Any, experts: MixtureOfExperts) -> None:
    found = await run(experts, QUERY)
    assert (found.response, found.selected) == ("It depends.", "fairness")
    assert found.selection_probabilities == {"care": 0.1, "fairness": 0.7, "liberty": 0.2}
    assert [message.community for message in found.messages] == ["fairness"]
    assert experts.route.asked[0]["options"][0] == "care: Those who cherish care."
    assert [len(member.lm.engine.requests) for member in experts.pool] == [0, 1, 0]
    assert "Message: Justice demands impartial treatment. More follows." in experts.base.engine.prompts[0]


@pytest.mark.parametrize("attribute", [None, "care"])
async def test_experts_choose_among_options_with_one_message(
    run: Any, experts: MixtureOfExperts, attribute: str | None
) -> None:
    found = await run(experts, QUERY, attribute, OPTIONS)
    assert (found.option, found.probabilities["no"]) == ("yes", 0.25)
    (asked,) = experts.choose.asked + experts.choose_for.asked
    assert asked["message"] == "Justice demands impartial treatment. More follows."
    assert asked.get("attribute") == attribute


@pytest.mark.parametrize("names", [["care", "fairness", "liberty"], ["liberty", "fairness", "care"]])
async def test_what_was_measured_routes_where_a_sharpness_leaves_no_difference(
    run: Any, pool: CommunityPool, names: list[str]
) -> None:
    base = fake_lm({"": "It depends."}, lambda prompt, _: -1.0 if "cherish fairness" in prompt else -1.1, name="base")
    program = MixtureOfExperts(base, CommunityPool(pool[name] for name in names))
    program.route.measurement = Measurement("channel", 1.0, {}, 64.0)
    found = await run(program, QUERY)
    assert len(set(found.selection_probabilities.values())) == 1
    assert found.selected == "fairness"


async def test_the_only_expert_needs_no_route(run: Any, experts: MixtureOfExperts) -> None:
    experts.pool.remove("fairness")
    experts.pool.remove("care")
    assert (await run(experts, QUERY)).selection_probabilities == {"liberty": 1.0}
    assert not experts.route.asked


async def test_experts_fail_with_the_one_they_chose(run: Any, experts: MixtureOfExperts) -> None:
    experts.pool["fairness"].lm = fake_lm({"": ValueError("it broke")}, num_retries=0)
    with pytest.raises(CommunityError, match="no message from fairness"):
        await run(experts, QUERY)


async def test_the_next_best_expert_stands_in_for_one_that_fails(run: Any, experts: MixtureOfExperts) -> None:
    experts.failures = FailurePolicy("continue", timeout=5.0)
    experts.pool["fairness"].lm = fake_lm({"": ValueError("it broke")}, num_retries=0)
    found = await run(experts, QUERY)
    assert (found.response, found.selected) == ("It depends.", "liberty")
    assert found.selection_probabilities == {"care": 0.1, "fairness": 0.7, "liberty": 0.2}
    assert [message.community for message in found.messages] == ["liberty"]
    assert list(found.failures) == ["fairness"] and "it broke" in found.failures["fairness"]
    assert not experts.pool["care"].lm.engine.requests


async def test_too_few_experts_end_it_all(run: Any, experts: MixtureOfExperts) -> None:
    for name in ("fairness", "liberty"):
        experts.pool[name].lm = fake_lm({"": ValueError("it broke")}, name=name, num_retries=0)
    experts.failures = FailurePolicy("continue", at_least=2)
    with pytest.raises(CommunityError, match=r"1 of at least 2 communities .*; none from fairness .*; liberty"):
        await run(experts, QUERY)
    experts.pool["care"].lm = fake_lm({"": ""}, num_retries=0)
    experts.failures = FailurePolicy("continue")
    with pytest.raises(CommunityError, match=r"0 of at least 1 communities .*; liberty .*; care"):
        await run(experts, QUERY)


async def test_more_experts_than_there_are_cannot_be_had(run: Any, experts: MixtureOfExperts) -> None:
    experts.failures = FailurePolicy("continue", at_least=4)
    with pytest.raises(
        CommunityError, match="3 of at least 4 communities have a message, and there are no others to ask"
    ):
        await run(experts, QUERY)


def test_there_must_be_experts() -> None:
    with pytest.raises(EmptyPoolError, match="no community to ask"):
        MixtureOfExperts(fake_lm(), CommunityPool())(QUERY)


@pytest.mark.parametrize("kind", [Overton, Steerable, Distributional, MixtureOfExperts])
async def test_one_huge_message_does_not_fill_the_prompt(run: Any, kind: Any, pool: CommunityPool) -> None:
    pool["care"].lm = fake_lm({"": "Kindness protects somebody fragile. " * 5000}, num_retries=0)
    program = kind(fake_lm({"": "It depends."}, lambda *_: -1.0), pool)
    inputs = {"attribute": "care"} if kind is Steerable else {"options": OPTIONS} if kind is Distributional else {}
    assert (await run(program, QUERY, **inputs)).messages[0].text.startswith("Kindness protects")
    assert max(map(len, program.base.engine.prompts)) < 60_000
