"""The measured choice as a predictor among others: its prompt, its demos, its trace, and the caller's own settings."""

import asyncio
from typing import Any

import dspy
import pytest

from modplural.programs.choice import MeasuredChoice

from .drinks import OPTIONS, QUERY, Pick, demo, likely


async def test_the_prompt_holds_instructions_and_inputs_and_the_options_once(run: Any) -> None:
    lm = likely()
    await run(MeasuredChoice(Pick, "letters"), query=QUERY, attribute="warmth", options=OPTIONS, lm=lm)
    [text] = lm.engine.prompts
    first = text.split("Answer with the letter")[0]
    assert first.startswith("You pick what reflects the attribute.\n")
    assert QUERY in first
    assert "warmth" in first
    assert (first.count("tea"), first.count("milk")) == (1, 1)


async def test_an_input_left_out_leaves_no_trace(run: Any) -> None:
    lm = likely()
    await run(MeasuredChoice(Pick, "texts"), query=QUERY, options=OPTIONS, lm=lm)
    assert "Attribute" not in lm.engine.prompts[0]
    assert "None" not in lm.engine.prompts[0]


async def test_changed_instructions_reach_the_prompt(run: Any) -> None:
    choose = MeasuredChoice(Pick, "texts")
    choose.signature = choose.signature.with_instructions("Pick what keeps warm.")
    lm = likely()
    await run(choose, query=QUERY, options=OPTIONS, lm=lm)
    assert lm.engine.prompts[0].startswith("Pick what keeps warm.\n")
    assert "reflects" not in lm.engine.prompts[0]


async def test_demos_are_shown_as_they_were_solved(run: Any) -> None:
    choose = MeasuredChoice(Pick, "letters")
    choose.demos = [demo(), demo("stew", ["soup\nA. bun", "stew"], query="And then?").toDict()]
    lm = likely()
    await run(choose, query=QUERY, options=OPTIONS, lm=lm)
    shown = lm.engine.prompts[0]
    request = "\n\nAnswer with the letter of one option.\n"
    assert f"Query: A meal?\n\nA. soup\nB. bread{request}B\n" in shown
    assert f"Query: And then?\n\nA. soup A. bun\nB. stew{request}B\n" in shown
    assert shown.index("A meal?") < shown.index("And then?") < shown.index(QUERY)


@pytest.mark.parametrize(
    "malformed",
    [
        demo("cake"),
        demo(None),
        demo("bread", None),
        demo("bread", "soup or bread"),
        demo("bread", ["bread"]),
        demo("bread", ["bread", "bread"]),
        demo("bread", ["bread", " bread"]),
        demo("bread", ["bread", ""]),
        demo("bread", ["bread", 3]),
        demo(3, [2, 3]),
        dspy.Example(query="A meal?", choice="bread"),
        dspy.Example(query="A meal?", options=["soup", "bread"]),
    ],
)
async def test_a_demo_that_shows_no_choice_is_left_out(malformed: dspy.Example, run: Any) -> None:
    choose, lm = MeasuredChoice(Pick, "verdicts"), likely()
    choose.demos = [malformed]
    found = await run(choose, query=QUERY, options=OPTIONS, lm=lm)
    assert "A meal?" not in "".join(lm.engine.prompts)
    assert found.probabilities == pytest.approx({"tea": 0.75, "milk": 0.25})


async def test_what_was_measured_is_in_the_trace(run: Any) -> None:
    choose = MeasuredChoice(Pick, "texts")
    with dspy.context(lm=likely(), trace=[]):
        found = await run(choose, query=QUERY, options=OPTIONS)
        [(predictor, inputs, outputs)] = dspy.settings.trace
    assert predictor is choose
    assert inputs["options"] == OPTIONS
    assert outputs is found
    assert set(outputs.keys()) == {"choice", "probabilities", "strategy", "method", "outside"}


async def test_many_choices_run_at_once_without_mixing() -> None:
    choose = MeasuredChoice(Pick, "texts")
    table = {f"option {place}": -float(place) for place in range(12)}

    def call(place: int) -> Any:
        options = [f"option {place}", f"option {place + 1}"]
        return choose.acall(query=f"Question {place}?", options=options, lm=likely(table))

    found = await asyncio.gather(*map(call, range(11)))
    assert [answer.choice for answer in found] == [f"option {place}" for place in range(11)]


async def test_the_adapter_of_the_caller_is_left_alone(run: Any) -> None:
    adapter = dspy.JSONAdapter()
    with dspy.context(adapter=adapter, lm=likely()):
        found = await run(MeasuredChoice(Pick, "texts"), query=QUERY, options=OPTIONS)
        assert dspy.settings.adapter is adapter
    assert found.choice == "tea"
