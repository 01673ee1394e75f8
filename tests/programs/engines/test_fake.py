"""The fake LM: what it is told to say, what it remembers, and that it never makes anything up."""

import asyncio
import math
from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest
from dspy.lm15 import Message, Request
from dspy.utils.exceptions import LMError

from modplural.programs.engines.fake import FakeEngine, fake_lm, prompt_text
from modplural.programs.engines.scoring import Likelihood, ScoreItem, Turn, read_scores, score_request


def test_first_part_found_in_the_prompt_decides_the_reply() -> None:
    lm = fake_lm({"stealing": "It is wrong.", "is": "Something else."})
    assert lm("Why is stealing wrong?") == ["It is wrong."]
    assert lm("Who is there?") == ["Something else."]


def test_a_function_writes_the_reply_from_the_whole_request() -> None:
    lm = fake_lm(lambda request: prompt_text(request).upper())
    response = lm(Request(model=lm.model, system="be kind", messages=(Message.user("hi"),)))
    assert response.message.text == "BE KIND\nHI"


def test_an_unscripted_prompt_fails_and_is_named() -> None:
    with pytest.raises(LMError, match=r"(?s)no reply for this prompt.*'stealing'.*Who is there") as caught:
        fake_lm({"stealing": "It is wrong."})("Who is there?")
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_scripted_exception_is_raised() -> None:
    lm = fake_lm({"hi": ValueError("the server is down")}, num_retries=0)
    with pytest.raises(LMError, match="the server is down"):
        lm("hi")


def test_requests_are_remembered_from_many_threads() -> None:
    lm = fake_lm(lambda request: "yes")
    with ThreadPoolExecutor(8) as executor:
        list(executor.map(lm, [f"question {i}" for i in range(64)]))
    assert sorted(lm.engine.prompts) == sorted(f"question {i}" for i in range(64))
    assert all(request.model == "fake/lm" for request in lm.engine.requests)


def test_async_calls_wait_together_and_are_remembered_by_the_same_engine() -> None:
    lm = fake_lm({"hi": "hello"}, delays={"hi": 0.2})

    async def ask() -> list[list[str]]:
        return await asyncio.wait_for(asyncio.gather(*(lm.acall("hi") for _ in range(20))), timeout=2)

    assert asyncio.run(ask()) == [["hello"]] * 20
    assert len(lm.engine.requests) == 20


def ask_likelihoods(lm: dspy.LM, *continuations: str) -> list[Likelihood]:
    items = [ScoreItem((Turn("user", "Is it right?"),), continuations)]
    (row,) = read_scores(lm(score_request(lm.model, items)))
    return row


def test_likelihoods_from_a_function_see_prompt_and_continuation() -> None:
    lm = fake_lm(likelihoods=lambda prompt, text: -float(len(prompt) + len(text)))
    assert ask_likelihoods(lm, "yes", "not at all") == [Likelihood(-15.0, 1), Likelihood(-22.0, 3)]


def test_scripted_probability_is_shared_between_the_spellings_of_a_text() -> None:
    lm = fake_lm(likelihoods={"A": math.log(0.6), "B": math.log(0.4)})
    a, a_spaced, b = (math.exp(found.logprob) for found in ask_likelihoods(lm, "A", " A", "B"))
    assert a + a_spaced == pytest.approx(0.6)
    assert a == a_spaced
    assert b == pytest.approx(0.4)


def test_an_unscripted_likelihood_fails_and_is_named() -> None:
    with pytest.raises(LMError, match="no likelihood for 'C'"):
        ask_likelihoods(fake_lm(likelihoods={"A": -1.0}), "A", "C")


def test_copies_of_a_program_share_the_engine() -> None:
    predictor = dspy.Predict("question -> answer")
    predictor.lm = fake_lm({"": "yes"})
    assert predictor.deepcopy().lm.engine is predictor.lm.engine


def test_the_engine_says_that_it_measures_likelihoods() -> None:
    assert "score" in FakeEngine.measures
    assert "score" in fake_lm().engine.measures
