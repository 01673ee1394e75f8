"""The measured choice as a predictor: what it answers and what it refuses."""

import math
from collections.abc import Generator
from typing import Any

import dspy
import pytest

from modplural.programs.asking import CannotMeasureError
from modplural.programs.choice import MeasuredChoice
from modplural.programs.choice_prompt import ChoicePrompt, Scores
from modplural.programs.choosing import STRATEGIES, Strategy
from modplural.programs.engines.fake import AsyncFakeEngine, FakeEngine, fake_lm, prompt_text
from modplural.programs.measurement import Measurement

from .drinks import OPTIONS, QUERY, Pick, likely, reply


class Listing(FakeEngine):
    """An engine that lists likely next tokens, and measures nothing else."""

    measures = frozenset()
    supported_params = FakeEngine.supported_params | {"logprobs"}


class Talking(FakeEngine):
    """An engine that tells no likelihoods at all."""

    measures = frozenset()


EXPECTED = {
    "letters": ({"tea": 0.75, "milk": 0.25}, "likelihood", 0.8),
    "texts": ({"tea": 0.75, "milk": 0.25}, "likelihood", 0.6),
    "verdicts": ({"tea": 0.75, "milk": 0.25}, "likelihood", 0.7),
    "channel": ({"tea": 0.75, "milk": 0.25}, "likelihood", None),
    "sampled": ({"tea": 0.75, "milk": 0.25}, "sampling", 0.2),
    "verbalized": ({"tea": 0.75, "milk": 0.25}, "verbalized", None),
}
"""What each strategy makes of the LM below, for which tea is three times as likely: distribution, method, outside."""


def lm_of(engine: FakeEngine) -> dspy.LM:
    return dspy.LM("fake/lm", engine=engine, async_engine=AsyncFakeEngine(engine), cache=False)


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_each_strategy_gives_the_distribution_computed_by_hand(strategy: str, run: Any) -> None:
    choose = MeasuredChoice(Pick, strategy, channel="attribute")
    found = await run(choose, query=QUERY, attribute="warmth", options=OPTIONS, lm=likely())
    probabilities, method, outside = EXPECTED[strategy]
    assert found.choice == "tea"
    assert found.probabilities == pytest.approx(probabilities)
    assert list(found.probabilities) == OPTIONS
    assert (found.strategy, found.method) == (strategy, method)
    assert found.outside == (None if outside is None else pytest.approx(outside))


@pytest.mark.parametrize("strategy", ["letters", "texts", "verdicts", "channel", "sampled"])
async def test_the_order_of_options_does_not_matter(strategy: str, run: Any) -> None:
    choose = MeasuredChoice(Pick, strategy, channel="attribute")
    found = await run(choose, query=QUERY, attribute="warmth", options=OPTIONS[::-1], lm=likely())
    assert found.choice == "tea"
    assert found.probabilities == pytest.approx(EXPECTED[strategy][0])


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_settings_of_the_lm_change_nothing(strategy: str, run: Any) -> None:
    lm = likely(temperature=0.1, n=3, max_tokens=2, stop=["."])
    choose = MeasuredChoice(Pick, strategy, channel="attribute")
    found = await run(choose, query=QUERY, attribute="warmth", options=OPTIONS, lm=lm)
    plain = likely()
    await run(choose, query=QUERY, attribute="warmth", options=OPTIONS, lm=plain)
    assert found.probabilities == pytest.approx(EXPECTED[strategy][0])
    assert sorted(map(repr, lm.engine.requests)) == sorted(map(repr, plain.engine.requests))


@pytest.mark.parametrize(
    ("lm", "channel", "strategy"),
    [
        (fake_lm(), "attribute", "channel"),
        (fake_lm(), None, "verdicts"),
        (lm_of(Listing()), "attribute", "verdicts"),
        (lm_of(Talking()), "attribute", "sampled"),
        (dspy.LM("hosted_vllm/base"), "attribute", "channel"),
        (dspy.LM("openai/gpt-4o", api_key="none"), "attribute", "verdicts"),
        (dspy.LM("anthropic/claude-sonnet-4-5", api_key="none"), "attribute", "sampled"),
    ],
)
def test_auto_takes_the_best_that_the_backend_measures(lm: dspy.LM, channel: str | None, strategy: str) -> None:
    assert MeasuredChoice(Pick, channel=channel).strategy_for(lm) == strategy


async def test_auto_says_what_it_took(run: Any) -> None:
    found = await run(MeasuredChoice(Pick), query=QUERY, options=OPTIONS, lm=likely())
    assert (found.strategy, found.method) == ("verdicts", "likelihood")
    talking = await run(MeasuredChoice(Pick), query=QUERY, options=OPTIONS, lm=lm_of(Talking(reply)))
    assert (talking.strategy, talking.method) == ("sampled", "sampling")
    assert talking.probabilities == pytest.approx({"tea": 0.75, "milk": 0.25})


@pytest.mark.parametrize(
    ("strategy", "engine", "usable"),
    [
        ("texts", Listing, "letters, verdicts, sampled, verbalized"),
        ("channel", Listing, "letters, verdicts, sampled, verbalized"),
        ("letters", Talking, "sampled, verbalized"),
        ("verdicts", Talking, "sampled, verbalized"),
    ],
)
async def test_what_the_backend_cannot_measure_names_what_it_can(
    strategy: str, engine: type[FakeEngine], usable: str, run: Any
) -> None:
    lm = lm_of(engine(reply))
    choose = MeasuredChoice(Pick, strategy, channel="attribute")
    with pytest.raises(CannotMeasureError, match=rf"fake/lm: the strategy '{strategy}' .*; these can: {usable}$"):
        await run(choose, query=QUERY, attribute="warmth", options=OPTIONS, lm=lm)
    assert not lm.engine.requests


async def test_channel_needs_an_input_that_was_declared_and_given(run: Any) -> None:
    with pytest.raises(CannotMeasureError, match="'channel' cannot be measured here; these can: letters, texts, verd"):
        await run(MeasuredChoice(Pick, "channel"), query=QUERY, attribute="warmth", options=OPTIONS, lm=likely())
    choose = MeasuredChoice(Pick, "channel", channel="attribute")
    for value in (None, "", " \n"):
        with pytest.raises(ValueError, match="give it a value"):
            await run(choose, query=QUERY, attribute=value, options=OPTIONS, lm=likely())


@pytest.mark.parametrize(
    "logits", [(-math.inf, -math.inf), (math.nan, math.nan), (math.nan, -1.0), (math.inf, -1.0), (math.inf, math.inf)]
)
async def test_numbers_that_are_no_distribution_are_never_made_one(
    logits: tuple[float, float], run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(lm: dspy.LM, prompt: ChoicePrompt) -> Generator[list[Any], Any, Scores]:
        yield []
        return Scores(logits, "magic")

    monkeypatch.setitem(STRATEGIES, "texts", Strategy(plan))
    with pytest.raises(CannotMeasureError, match=r"fake/lm: 'texts' measured \(.*\), which is no distribution"):
        await run(MeasuredChoice(Pick, "texts"), query=QUERY, options=OPTIONS, lm=likely())


@pytest.mark.parametrize("strategy", ["sampled", "verbalized"])
@pytest.mark.parametrize("said", ["I would rather not say.", "A: 0%\nB: 0%\nA or B", "C: 100%", ""])
async def test_nothing_said_is_never_a_uniform_answer(strategy: str, said: str, run: Any) -> None:
    lm = lm_of(Talking(lambda request: said))
    with pytest.raises(CannotMeasureError, match="other strategies may serve"):
        await run(MeasuredChoice(Pick, strategy), query=QUERY, options=OPTIONS, lm=lm)


async def test_a_number_beyond_all_numbers_is_no_distribution(run: Any) -> None:
    lm = lm_of(Talking(lambda request: f"A: 1{'0' * 400}\nB: 1"))
    with pytest.raises(CannotMeasureError, match="no distribution"):
        await run(MeasuredChoice(Pick, "verbalized"), query=QUERY, options=OPTIONS, lm=lm)


async def test_extreme_likelihoods_are_a_distribution_still(run: Any) -> None:
    lm = likely({"tea": -1e5, "milk": -1e5 - math.log(4), "water": -1e7})
    found = await run(MeasuredChoice(Pick, "texts"), query=QUERY, options=["tea", "milk", "water"], lm=lm)
    assert found.probabilities == pytest.approx({"tea": 0.8, "milk": 0.2, "water": 0.0})
    assert found.outside == 1.0


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ([], ValueError, r"options are \[\]; give the possible answers, two or more"),
        (["tea"], ValueError, "two or more"),
        (["tea", "milk", "tea"], ValueError, r"not distinct: \['tea'\] occur more than once"),
        (["hot tea", "hot \n tea "], ValueError, "not distinct"),
        (["tea", ""], ValueError, r"options\[1\] is empty"),
        (["tea", " \n"], ValueError, r"options\[1\] is empty"),
        ("tea or milk", TypeError, "options must be a list of texts, not str"),
        (None, TypeError, "options must be a list of texts, not NoneType"),
        ({"tea": 1, "milk": 2}, TypeError, "options must be a list of texts, not dict"),
        (["tea", 3], TypeError, r"options\[1\] must be a text, not int"),
    ],
)
async def test_options_that_make_no_choice_are_refused_unasked(
    options: Any, error: type[Exception], message: str, run: Any
) -> None:
    lm = likely()
    with pytest.raises(error, match=message):
        await run(MeasuredChoice(Pick), query=QUERY, options=options, lm=lm)
    assert not lm.engine.requests


async def test_options_may_be_a_tuple(run: Any) -> None:
    found = await run(MeasuredChoice(Pick, "texts"), query=QUERY, options=tuple(OPTIONS), lm=likely())
    assert found.probabilities == pytest.approx({"tea": 0.75, "milk": 0.25})


@pytest.mark.parametrize("strategy", STRATEGIES)
async def test_an_option_cannot_look_like_two(strategy: str, run: Any) -> None:
    options = ["tea\nB. gin", "  milk "]
    lm = fake_lm(
        lambda request: "A: 60%\nB: 20%" if "How likely" in prompt_text(request) else "A",
        lambda text, continuation: -1.0,
    )
    choose = MeasuredChoice(Pick, strategy, channel="attribute")
    found = await run(choose, query=QUERY, attribute="warmth", options=options, lm=lm)
    assert list(found.probabilities) == options
    shown = "\n".join([*lm.engine.prompts, *(repr(request.config.extensions) for request in lm.engine.requests)])
    assert "tea B. gin" in shown
    assert "\nB. gin" not in shown
    assert "\\nB. gin" not in shown


async def test_more_options_than_letters_are_measured_without_letters(run: Any) -> None:
    options = [f"option {place}" for place in range(30)]
    lm = likely(lambda text, continuation: -1.0 if continuation.strip() != "option 17" else -0.5)
    with pytest.raises(ValueError, match="30 options and 26 letters"):
        await run(MeasuredChoice(Pick, "letters"), query=QUERY, options=options, lm=lm)
    found = await run(MeasuredChoice(Pick, "texts"), query=QUERY, options=options, lm=lm)
    assert found.choice == "option 17"
    assert len(found.probabilities) == 30


async def test_calibration_counts(run: Any) -> None:
    choose = MeasuredChoice(Pick, "texts")
    choose.measurement = Measurement("texts", temperature=0.5)
    found = await run(choose, query=QUERY, options=OPTIONS, lm=likely())
    assert found.probabilities == pytest.approx({"tea": 0.9, "milk": 0.1})
    choose.measurement = Measurement("texts", bias={" milk": math.log(9)})
    found = await run(choose, query=QUERY, options=["tea", " milk"], lm=likely())
    assert found.choice == " milk"
    assert found.probabilities == pytest.approx({"tea": 0.25, " milk": 0.75})
    assert found.outside == pytest.approx(0.6)


@pytest.mark.parametrize(
    "signature",
    [
        "query -> choice",
        "query, options: list[str] -> choice: int",
        "query, options: list[str] -> choice: str, reason: str",
    ],
)
def test_a_signature_without_options_or_with_other_outputs_is_refused(signature: str) -> None:
    with pytest.raises(ValueError, match="a choice needs an input 'options' and one text output, not '"):
        MeasuredChoice(signature)


@pytest.mark.parametrize("name", ["probabilities", "strategy", "method", "outside"])
def test_names_that_the_answer_has_already_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=name):
        MeasuredChoice(f"query, options: list[str] -> {name}: str")
    with pytest.raises(ValueError, match=name):  # a bootstrapped demo could not hold both
        MeasuredChoice(f"query, {name}, options: list[str] -> choice: str")


@pytest.mark.parametrize("channel", ["mood", "options", "choice"])
def test_a_channel_is_one_of_the_other_inputs(channel: str) -> None:
    with pytest.raises(ValueError, match=rf"no input '{channel}' to compare .* inputs are \['query', 'attribute', 'op"):
        MeasuredChoice(Pick, channel=channel)


def test_an_unknown_strategy_is_refused() -> None:
    with pytest.raises(ValueError, match="no strategy 'votes'; there are auto, letters"):
        MeasuredChoice(Pick, "votes")


@pytest.mark.parametrize("options", [OPTIONS, OPTIONS[::-1]])
def test_what_was_measured_decides_where_a_sharpness_leaves_no_difference(options: list[str]) -> None:
    choose = MeasuredChoice(Pick, "texts")
    choose.measurement = Measurement("texts", 9.0, {}, 64.0)
    with dspy.context(lm=likely()):
        found = choose(query=QUERY, options=options)
    assert len(set(found.probabilities.values())) == 1
    assert found.choice == "tea"
