"""Driving programs in threads and under asyncio: batches asked together, answered in order, failures, time limits."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import dspy
import pytest
from dspy.utils.exceptions import LMError

from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.steps import Call, Steps, adrive, drive

Driver = Callable[[Steps[Any]], Awaitable[Any]]


async def in_threads(steps: Steps[Any]) -> Any:
    return drive(steps)


@pytest.fixture(params=[in_threads, adrive], ids=["sync", "async"])
def run(request: pytest.FixtureRequest) -> Driver:
    driver: Driver = request.param
    return driver


@pytest.fixture
def echo() -> dspy.LM:
    return fake_lm(lambda request: f"said: {request.messages[-1].text}")


def predictor() -> dspy.Predict:
    return dspy.Predict(dspy.Signature("query -> answer", "Answer."))


def answers(results: list[Any]) -> list[Any]:
    return [result if isinstance(result, Exception) else result.answer for result in results]


def ask(*calls: Call) -> Steps[list[Any]]:
    results = yield calls
    return answers(results)


async def test_batches_follow_one_another_and_each_call_has_its_own_lm(run: Driver) -> None:
    lms = [fake_lm({"": f"answer {i}"}, name=f"lm{i}") for i in range(3)]

    def steps() -> Steps[str]:
        first, second = yield [Call(predictor(), {"query": "q"}, lm) for lm in lms[:2]]
        (last,) = yield [Call(predictor(), {"query": f"{first.answer}, {second.answer}"}, lms[2])]
        assert (yield []) == []
        return str(last.answer)

    with dspy.context(lm=fake_lm({"": "the ambient LM is not asked"})):
        assert await run(steps()) == "answer 2"
    assert lms[2].engine.prompts == ("Answer.\nanswer 0, answer 1",)


async def test_calls_of_a_batch_are_asked_together_and_answered_in_order(run: Driver) -> None:
    slow_first = fake_lm(lambda request: request.messages[-1].text, delays={"q0": 0.3, "q": 0.2})
    start = time.monotonic()
    calls = [Call(predictor(), {"query": f"q{i}"}, slow_first) for i in range(8)]
    assert await run(ask(*calls)) == [f"q{i}" for i in range(8)]
    assert time.monotonic() - start < 1.0


async def test_answers_are_told_as_they_arrive_in_the_thread_of_the_driver(run: Driver) -> None:
    lm = fake_lm(lambda request: request.messages[-1].text, delays={"late": 0.2})
    told: list[tuple[str, threading.Thread]] = []

    def listen(prediction: dspy.Prediction) -> None:
        told.append((prediction.answer, threading.current_thread()))

    calls = [Call(predictor(), {"query": query}, lm, answered=listen) for query in ("late", "early")]
    assert await run(ask(*calls)) == ["late", "early"]
    assert told == [("early", threading.current_thread()), ("late", threading.current_thread())]


async def test_an_error_of_who_is_told_ends_the_program(run: Driver) -> None:
    lm = fake_lm(lambda request: request.messages[-1].text, delays={"late": 0.2})
    told: list[str] = []

    def listen(prediction: dspy.Prediction) -> None:
        told.append(prediction.answer)
        raise BrokenPipeError("nobody reads on")

    calls = [Call(predictor(), {"query": query}, lm, answered=listen) for query in ("late", "early")]
    with pytest.raises(BrokenPipeError, match="nobody reads on"):
        await run(ask(*calls))
    await asyncio.sleep(0.3)
    assert told == ["early"]


async def test_an_uncaught_failure_is_raised_in_the_program_after_the_others_have_ended(run: Driver) -> None:
    lm = fake_lm({"bad": ValueError("it broke"), "good": "fine"}, delays={"good": 0.1}, num_retries=0)
    told: list[str] = []
    events: list[str] = []

    def steps() -> Steps[None]:
        good = Call(predictor(), {"query": "good"}, lm, answered=lambda prediction: told.append(prediction.answer))
        try:
            yield [Call(predictor(), {"query": "bad"}, lm), good]
        finally:
            events.append(f"cleaned up after {told}")

    with pytest.raises(LMError, match="it broke"):
        await run(steps())
    assert events == ["cleaned up after ['fine']"]


async def test_a_program_may_recover_from_a_failure(run: Driver, echo: dspy.LM) -> None:
    broken = fake_lm({"": ValueError("it broke")}, num_retries=0)

    def steps() -> Steps[str]:
        try:
            yield [Call(predictor(), {"query": "first"}, broken)]
        except LMError:
            (second,) = yield [Call(predictor(), {"query": "second"}, echo)]
        return str(second.answer)

    assert await run(steps()) == "said: second"


async def test_a_caught_failure_is_an_answer(run: Driver, echo: dspy.LM) -> None:
    broken = fake_lm({"": ValueError("it broke")}, num_retries=0)
    failure, answer = await run(
        ask(Call(predictor(), {"query": "q"}, broken, catch=True), Call(predictor(), {"query": "q"}, echo, catch=True))
    )
    assert isinstance(failure, LMError)
    assert answer == "said: q"


@pytest.mark.parametrize("company", [0, 1])
async def test_a_call_past_its_time_has_failed(run: Driver, echo: dspy.LM, company: int) -> None:
    slow = fake_lm({"": "too late"}, name="slow", delays={"": 5.0})
    calls = [Call(predictor(), {"query": "q"}, slow, catch=True, timeout=0.1)]
    calls += [Call(predictor(), {"query": "q"}, echo, timeout=5.0)] * company
    start = time.monotonic()
    failure, *rest = await run(ask(*calls))
    assert time.monotonic() - start < 2.0
    assert isinstance(failure, TimeoutError)
    assert str(failure) == "fake/slow did not answer within 0.1 s"
    assert rest == ["said: q"] * company


async def test_a_call_within_its_time_is_not_disturbed(run: Driver) -> None:
    lm = fake_lm({"q": "in time"}, delays={"": 0.1})
    assert await run(ask(*[Call(predictor(), {"query": "q"}, lm, timeout=5.0)] * 2)) == ["in time"] * 2


async def test_cancelling_an_async_program_cancels_its_calls_and_cleans_up(echo: dspy.LM) -> None:
    events: list[str] = []

    def steps() -> Steps[None]:
        try:
            yield [Call(predictor(), {"query": "q"}, fake_lm({"": "x"}, delays={"": 5.0}))] * 2
        finally:
            events.append("cleaned up")

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(adrive(steps()), timeout=0.1)
    assert events == ["cleaned up"]


async def test_the_trace_is_in_the_order_of_the_calls_whoever_is_faster(run: Driver) -> None:
    lm = fake_lm(lambda request: request.messages[-1].text, delays={"q0": 0.15, "q1": 0.05})
    predictors = [predictor() for _ in range(3)]
    with dspy.context(trace=[]):
        await run(ask(*[Call(p, {"query": f"q{i}"}, lm) for i, p in enumerate(predictors)]))
        found = [(step[0], step[2].answer) for step in dspy.settings.trace]
    assert found == [(predictors[0], "q0"), (predictors[1], "q1"), (predictors[2], "q2")]


async def test_the_trace_grows_no_longer_than_dspy_lets_it(run: Driver, echo: dspy.LM) -> None:
    with dspy.context(trace=[], max_trace_size=2):
        await run(ask(*[Call(predictor(), {"query": f"q{i}"}, echo) for i in range(3)]))
        assert [step[1]["query"] for step in dspy.settings.trace] == ["q1", "q2"]


async def test_no_trace_is_kept_where_tracing_is_off(run: Driver, echo: dspy.LM) -> None:
    with dspy.context(trace=None):
        assert await run(ask(Call(predictor(), {"query": "q"}, echo))) == ["said: q"]
        assert dspy.settings.trace is None


async def test_the_usage_of_all_calls_is_counted(run: Driver, echo: dspy.LM) -> None:
    with dspy.track_usage() as tracker:
        await run(ask(*[Call(predictor(), {"query": "q"}, echo)] * 3))
    assert tracker.get_total_tokens()["fake/lm"]["completion_tokens"] == 3 * 2


async def test_prompts_are_plain_whatever_adapter_is_configured(run: Driver, echo: dspy.LM) -> None:
    with dspy.context(adapter=dspy.JSONAdapter()):
        assert await run(ask(Call(predictor(), {"query": "q"}, echo))) == ["said: q"]
    assert echo.engine.prompts == ("Answer.\nq",)


async def test_an_lm_set_on_a_predictor_does_not_replace_that_of_the_call(run: Driver, echo: dspy.LM) -> None:
    other = fake_lm({"": "the predictor's LM"}, name="other")
    asked = predictor()
    asked.set_lm(other)
    assert await run(ask(Call(asked, {"query": "q"}, echo))) == ["said: q"]
    assert not other.engine.requests


@pytest.mark.parametrize("where", ["settings", "predictor"])
async def test_an_optimizer_that_asks_for_another_draw_gets_it_from_the_lm_of_the_call(
    run: Driver, where: str, dspy_cache: object
) -> None:
    lm = fake_lm(lambda request: f"temperature {request.config.temperature}", cache=True, temperature=0.5)
    teacher = fake_lm(lambda request: "the teacher", name="teacher")
    asked = predictor()
    for rollout in (None, 1, 2, 2):
        draw = teacher if rollout is None else teacher.copy(rollout_id=rollout, temperature=1.0)
        with dspy.context(lm=draw if where == "settings" else None):
            asked.lm = draw if where == "predictor" else None
            expected = "temperature 0.5" if rollout is None else "temperature 1.0"
            assert await run(ask(Call(asked, {"query": "q"}, lm))) == [expected]
    assert len(lm.engine.requests) == 3  # the second draw of rollout 2 came from the cache
    assert not teacher.engine.requests


@pytest.mark.parametrize("driver", [drive, adrive])
async def test_a_program_can_be_streamed(driver: Any, echo: dspy.LM) -> None:
    class Program(dspy.Module):
        def forward(self, query: str) -> Any:
            return driver(self.steps(query))

        async def aforward(self, query: str) -> Any:
            return await driver(self.steps(query))

        def steps(self, query: str) -> Steps[dspy.Prediction]:
            first, second = yield [Call(predictor(), {"query": query}, echo)] * 2
            return dspy.Prediction(answers=[first.answer, second.answer])

    stream = dspy.streamify(Program(), is_async_program=driver is adrive)
    *_, last = [chunk async for chunk in stream(query="q")]
    assert last.answers == ["said: q"] * 2


async def test_an_exit_in_a_call_ends_the_program() -> None:
    def leave(request: dspy.lm15.Request) -> str:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        drive(ask(*[Call(predictor(), {"query": "q"}, fake_lm(leave))] * 2))


def test_the_fake_lm_saw_what_was_asked(echo: dspy.LM) -> None:
    drive(ask(Call(predictor(), {"query": "q"}, echo)))
    assert prompt_text(echo.engine.requests[0]) == "Answer.\nq"
