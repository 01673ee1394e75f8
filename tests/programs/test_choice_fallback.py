"""What 'auto' does where a backend announces more than it measures, and that a strategy that was named is kept."""

from collections.abc import Mapping
from typing import Any

import dspy
import pytest
from dspy.lm15 import LM15Error, Request, UnsupportedFeatureError

from modplural.programs.asking import CannotMeasureError
from modplural.programs.choice import MeasuredChoice
from modplural.programs.choice_prompt import ChoicePrompt, Scores
from modplural.programs.choosing import STRATEGIES, Strategy
from modplural.programs.engines.fake import AsyncFakeEngine, FakeEngine, fake_lm

SIGNATURE = "query, attribute: str | None, options: list[str] -> choice: str"
ASKED: Mapping[str, Any] = {"query": "A drink?", "attribute": "warmth", "options": ["tea", "milk"]}


class Boasting(FakeEngine):
    """An engine that announces log-probabilities and gives none."""

    measures = frozenset()
    supported_params = FakeEngine.supported_params | {"logprobs"}


class Refusing(Boasting):
    """An engine that announces log-probabilities and refuses to be asked for them."""

    def note(self, request: Request) -> float:
        noted = super().note(request)
        if request.config.logprobs is not None:
            raise UnsupportedFeatureError("no logprobs here")
        return noted


def lm_of(engine: FakeEngine, **settings: Any) -> dspy.LM:
    return dspy.LM("fake/lm", engine=engine, async_engine=AsyncFakeEngine(engine), cache=False, **settings)


def measuring(lm: dspy.LM) -> int:
    """How many requests asked for log-probabilities."""
    return sum(request.config.logprobs is not None for request in lm.engine.requests)


@pytest.mark.parametrize("engine", [Boasting, Refusing])
async def test_auto_falls_back_and_does_not_ask_in_vain_again(
    engine: type[FakeEngine], run: Any, caplog: pytest.LogCaptureFixture
) -> None:
    choose, lm = MeasuredChoice(SIGNATURE), lm_of(engine({"": "A"}))
    found = await run(choose, **ASKED, lm=lm)
    assert (found.strategy, found.method) == ("sampled", "sampling")
    assert found.probabilities == pytest.approx({"tea": 0.5, "milk": 0.5})
    tried = measuring(lm)
    assert tried
    for again, settings in ((choose, {}), (choose.deepcopy(), {"temperature": 0.5})):
        assert (await run(again, **ASKED, lm=lm.copy(**settings))).strategy == "sampled"
    assert measuring(lm) == tried
    assert choose.strategy_for(lm) == "sampled"
    (warning,) = caplog.messages
    assert warning.endswith("so 'auto' takes 'sampled' instead of 'verdicts' from now on")


@pytest.mark.parametrize("engine", [Boasting, Refusing])
async def test_a_strategy_that_was_named_is_never_replaced(engine: type[FakeEngine], run: Any) -> None:
    choose, lm = MeasuredChoice(SIGNATURE, "letters"), lm_of(engine({"": "A"}))
    for _ in range(2):
        with pytest.raises(CannotMeasureError, match=r"returned no log-prob|refused \(no logprobs here\)"):
            await run(choose, **ASKED, lm=lm)


async def test_nothing_is_learnt_where_nothing_answers(run: Any) -> None:
    choose = MeasuredChoice(SIGNATURE)
    with pytest.raises(CannotMeasureError, match="none of its 10 replies names one option"):
        await run(choose, **ASKED, lm=lm_of(Boasting({"": "I would rather not say."})))
    assert choose.strategy_for(lm_of(Boasting())) == "verdicts"


async def test_a_question_that_cannot_be_measured_says_nothing_about_the_next(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def plan(lm: dspy.LM, prompt: ChoicePrompt) -> Any:
        yield []
        return Scores((float("-inf"),) * 2, "magic")

    monkeypatch.setitem(STRATEGIES, "verdicts", Strategy(plan))
    choose, lm = MeasuredChoice(SIGNATURE), lm_of(Boasting({"": "A"}))
    assert (await run(choose, **ASKED, lm=lm)).strategy == "sampled"
    assert choose.strategy_for(lm) == "verdicts"


async def test_other_failures_are_no_reason_to_fall_back(run: Any) -> None:
    choose, lm = MeasuredChoice(SIGNATURE), lm_of(FakeEngine({"": "A"}, lambda *_: 1 / 0), num_retries=0)
    with pytest.raises(Exception, match="division by zero") as caught:
        await run(choose, **ASKED, lm=lm)
    assert not isinstance(caught.value, CannotMeasureError | LM15Error)
    assert choose.strategy_for(lm) == "verdicts"


@pytest.mark.parametrize("value", [None, "", " \n"])
async def test_auto_takes_another_strategy_where_the_channel_has_no_value(value: str | None, run: Any) -> None:
    choose = MeasuredChoice(SIGNATURE, channel="attribute")
    lm = fake_lm({"": "A"}, lambda *_: -1.0)
    assert (await run(choose, **{**ASKED, "attribute": value}, lm=lm)).strategy == "verdicts"
    assert (await run(choose, **ASKED, lm=lm)).strategy == "channel"
