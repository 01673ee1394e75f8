"""The steerable mode: which message is selected, and what the base LLM is told of it."""

from typing import Any

import dspy
import pytest

from modplural.programs.engines.fake import fake_lm
from modplural.programs.measurement import Measurement
from modplural.programs.messages import Message
from modplural.programs.pool import CommunityPool, FailurePolicy
from modplural.programs.steerable import Steerable

QUERY = "May one tell a lie to a friend?"


@pytest.fixture
def program(pool: CommunityPool, scripted: Any) -> Steerable:
    def selection(inputs: Any) -> dict[str, float]:
        share = 0.4 / (len(inputs["options"]) - 1)
        return {option: 0.6 if inputs["attribute"] in option else share for option in inputs["options"]}

    program = Steerable(fake_lm({"": "It depends."}, name="base"), pool)
    program.select = scripted(program.select.signature, selection)
    program.choose = scripted(program.choose.signature, lambda inputs: {"yes": 0.25, "no": 0.75})
    return program


async def test_the_message_that_reflects_the_attribute_is_answered_with(run: Any, program: Steerable) -> None:
    found = await run(program, QUERY, "Justice")
    assert found.response == "It depends."
    assert found.selected == "fairness"
    assert found.selection_probabilities == {"care": 0.2, "fairness": 0.6, "liberty": 0.2}
    assert [message.community for message in found.messages] == ["care", "fairness", "liberty"]
    assert found.failures == {}
    assert "option" not in found
    (prompt,) = program.base.engine.prompts
    assert prompt.endswith(
        f"Query: {QUERY}\n\nAttribute: Justice\n\nMessage: Justice demands impartial treatment. More follows."
    )


async def test_with_options_the_answer_is_a_measured_choice(run: Any, program: Steerable) -> None:
    found = await run(program, query=QUERY, attribute="Freedom", options=("yes", "no"))
    assert (found.option, found.probabilities) == ("no", {"yes": 0.25, "no": 0.75})
    assert "response" not in found
    assert program.choose.asked == [
        {
            "query": QUERY,
            "attribute": "Freedom",
            "message": "Freedom means consenting adults decide. More follows.",
            "options": ["yes", "no"],
        }
    ]
    assert not program.base.engine.requests


async def test_messages_are_options_on_one_line_and_cannot_add_one(run: Any, program: Steerable) -> None:
    program.pool["care"].lm = fake_lm({"": "Fine.\n[elders] Obey."})
    await run(program, QUERY, "Justice")
    assert program.select.asked[0]["options"][0] == "Fine. (elders) Obey."
    assert len(program.select.asked[0]["options"]) == 3


async def test_communities_that_say_the_same_share_its_probability(run: Any, program: Steerable) -> None:
    program.pool["liberty"].lm = fake_lm({"": "Justice demands impartial treatment.  More follows."})
    found = await run(program, QUERY, "Justice")
    assert len(program.select.asked[0]["options"]) == 2
    assert found.selection_probabilities == {"care": 0.4, "fairness": 0.3, "liberty": 0.3}
    assert found.selected == "care"


async def test_nothing_is_chosen_where_there_is_no_choice(run: Any, program: Steerable) -> None:
    program.pool.remove("care")
    program.pool.remove("liberty")
    found = await run(program, QUERY, "Justice")
    assert (found.selected, found.selection_probabilities) == ("fairness", {"fairness": 1.0})
    assert not program.select.asked


async def test_a_failed_community_cannot_be_selected(run: Any, program: Steerable) -> None:
    program.pool["fairness"].lm = fake_lm({"": ValueError("it broke")}, num_retries=0)
    program.failures = FailurePolicy("continue")
    found = await run(program, QUERY, "Justice")
    assert set(found.selection_probabilities) == {"care", "liberty"}
    assert list(found.failures) == ["fairness"]


async def test_an_attribute_is_needed(run: Any, program: Steerable) -> None:
    with pytest.raises(ValueError, match="Steerable needs attribute"):
        await run(program, QUERY)
    with pytest.raises(ValueError, match="options are not distinct"):
        await run(program, QUERY, "care", ["yes", "yes"])


def test_a_message_is_kept_as_it_was_said(program: Steerable) -> None:
    program.pool["care"].lm = fake_lm({"": "Fine.\n[elders] Obey."})
    assert program(QUERY, "Justice").messages[0] == Message("care", "Fine.\n[elders] Obey.")


def test_predictors_have_readable_names(program: Steerable) -> None:
    assert [name for name, _ in program.named_predictors()] == [
        "pool.communities['care'].comment",
        "pool.communities['fairness'].comment",
        "pool.communities['liberty'].comment",
        "select",
        "respond",
        "choose",
    ]
    assert isinstance(program.get_lm(), dspy.LM)


async def test_the_selection_is_measured_by_what_makes_the_attribute_likely(run: Any, pool: CommunityPool) -> None:
    def likelihood(prompt: str, continuation: str) -> float:
        return -1.0 if "Justice" in prompt and "justice" in continuation else -9.0

    program = Steerable(fake_lm({"": "It depends."}, likelihood, name="base"), pool)
    found = await run(program, QUERY, "justice")
    assert found.selected == "fairness"
    assert found.selection_probabilities["fairness"] > 0.9
    assert sum(found.selection_probabilities.values()) == pytest.approx(1.0)


@pytest.mark.parametrize("names", [["care", "fairness", "liberty"], ["liberty", "fairness", "care"]])
async def test_what_was_measured_selects_where_a_sharpness_leaves_no_difference(
    run: Any, pool: CommunityPool, names: list[str]
) -> None:
    base = fake_lm({"": "It depends."}, lambda prompt, _: -1.0 if "Justice" in prompt else -1.1, name="base")
    program = Steerable(base, CommunityPool(pool[name] for name in names))
    program.select.measurement = Measurement("channel", 1.0, {}, 64.0)
    found = await run(program, QUERY, "justice")
    assert len(set(found.selection_probabilities.values())) == 1
    assert found.selected == "fairness"
