"""Several samples of one call: each from its own seed, and the same again whenever it is asked for."""

import asyncio
from collections.abc import Callable
from typing import Any

import dspy
import pytest

MakeLM = Callable[..., dspy.LM]
Ask = Callable[..., list[Any]]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    def asked(lm: dspy.LM, **settings: Any) -> list[Any]:
        if request.param == "sync":
            return lm("Is it right?", **settings)  # type: ignore[no-any-return]
        return asyncio.run(lm.acall("Is it right?", **settings))  # type: ignore[no-any-return]

    return asked


def test_samples_of_a_call_differ_and_come_again(tiny_lm: MakeLM, ask: Ask) -> None:
    lm = tiny_lm(temperature=1.0, max_tokens=12, seed=3)
    samples = ask(lm, n=3)
    assert len(set(samples)) == 3
    assert ask(lm, n=3) == samples
    assert ask(lm.copy(), n=2) == samples[:2]
    assert ask(lm, n=3, seed=4) != samples


def test_a_single_sample_has_the_seed_that_was_given(tiny_lm: MakeLM, ask: Ask) -> None:
    lm = tiny_lm(temperature=1.0, max_tokens=12, seed=3)
    [first], [again] = ask(lm), ask(lm)
    assert first == again == ask(lm, n=3)[0]
    assert (
        lm.engine.complete(
            dspy.lm15.Request(
                model=lm.model,
                messages=(dspy.lm15.Message.user("Is it right?"),),
                config=dspy.lm15.Config(temperature=1.0, max_tokens=12, seed=3),
            )
        ).message.text
        == first
    )


def test_greedy_samples_are_alike(tiny_lm: MakeLM, ask: Ask) -> None:
    assert len(set(ask(tiny_lm(temperature=0.0, max_tokens=6, seed=3), n=3))) == 1


def test_callbacks_of_a_user_are_kept(tiny_lm: MakeLM) -> None:
    mine = dspy.utils.callback.BaseCallback()
    assert mine in tiny_lm(callbacks=[mine]).callbacks
