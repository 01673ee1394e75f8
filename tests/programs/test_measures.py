"""Measuring likelihoods: what measures which LM, and APIs that list the likeliest tokens, played by a small server."""

import logging
import math
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.programs.config import LMConfig
from modplural.programs.engines.fake import fake_lm
from modplural.programs.engines.scoring import Likelihood, ScoreItem, Turn
from modplural.programs.lms import build_lm
from modplural.programs.measures import CannotMeasureError, measure_for, score

from .likelihood_server import KEY, QUESTION, Reply, Score, chat_reply


def listing(prompts: dict[str, dict[str, float]]) -> Callable[[dict[str, Any]], Reply]:
    """An OpenAI-compatible API that lists these tokens after these prompts, and fails on any other prompt."""

    def reply(body: dict[str, Any]) -> Reply:
        asked = (body["logprobs"], body["top_logprobs"], body["temperature"], body["max_completion_tokens"])
        assert asked == (True, 20, 0.0, 1)
        tokens = prompts[body["messages"][-1]["content"]]
        top = [{"token": token.rstrip("\0"), "logprob": value, "bytes": None} for token, value in tokens.items()]
        answer = chat_reply(body, top[0]["token"], "length")
        answer["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        return 200, answer

    return reply


def test_an_engine_that_scores_is_asked_once_for_everything(measure: Score) -> None:
    lm = fake_lm(likelihoods={"yes": -1.0, "no": -2.0})
    items = [ScoreItem(QUESTION, ("yes",)), ScoreItem(QUESTION, ("no", "yes"))]
    assert measure(lm, items) == [[Likelihood(-1.0, 1)], [Likelihood(-2.0, 1), Likelihood(-1.0, 1)]]
    assert len(lm.engine.requests) == 1
    assert measure_for(lm).method == "likelihood"


@pytest.mark.parametrize(
    ("model", "method", "can"),
    [
        ("hosted_vllm/base", "prompt_logprobs", {"next_token", "continuation"}),
        ("openai/gpt-4o", "top_logprobs", {"next_token"}),
        ("openai/some-server", "top_logprobs", {"next_token"}),
        ("groq/llama", "top_logprobs", {"next_token"}),
    ],
)
def test_the_measure_follows_from_the_provider(model: str, method: str, can: set[str]) -> None:
    measured = measure_for(dspy.LM(model, api_key=KEY))
    assert (measured.method, measured.can) == (method, can)


@pytest.mark.parametrize(
    "lm",
    [
        dspy.LM("anthropic/claude-sonnet-4-5", api_key=KEY),
        dspy.LM("openai/gpt-4o", model_type="responses", api_key=KEY),
        dspy.utils.DummyLM([{"answer": "A"}]),
    ],
    ids=["anthropic", "responses", "custom engine"],
)
def test_an_lm_without_logprobs_is_refused_before_it_is_asked(lm: dspy.LM) -> None:
    with pytest.raises(CannotMeasureError, match=r"'sampled' (and|or) 'verbalized'") as raised:
        score(lm, [ScoreItem(QUESTION, ("A",))])
    assert lm.model in str(raised.value)


@pytest.mark.parametrize("items", [[], [ScoreItem(QUESTION, ())], [ScoreItem(QUESTION, ("A", ""))]])
def test_nothing_to_measure_is_an_error(items: list[ScoreItem]) -> None:
    with pytest.raises(ValueError, match="needs"):
        score(dspy.LM("hosted_vllm/base"), items)


def test_a_listed_token_is_found_by_its_exact_spelling(serve: Any, measure: Score) -> None:
    api = listing({"Which one?": {"A": -0.5, " A": -2.0, "B": -3.0}, "Else?": {"B": -0.25, "Bo": -4.0}})
    items = [ScoreItem(QUESTION, ("A", " A", "B")), ScoreItem((Turn("user", "Else?"),), ("B",))]
    server = serve(api)
    assert measure(server.lm("openai/some"), items) == [
        [Likelihood(-0.5, 1), Likelihood(-2.0, 1), Likelihood(-3.0, 1)],
        [Likelihood(-0.25, 1)],
    ]
    assert len(server.bodies) == 2


def test_tokens_of_one_spelling_are_summed(serve: Any, measure: Score) -> None:
    api = listing({"Which one?": {"A": math.log(0.5), "A\0": math.log(0.25)}})
    [[found]] = measure(serve(api).lm("openai/some"), [ScoreItem(QUESTION, ("A",))])
    assert math.exp(found.logprob) == pytest.approx(0.75)


def test_what_is_not_listed_is_bounded(serve: Any, measure: Score) -> None:
    api = listing({"Which one?": {"The": -0.5, "I": -2.0, "So": -6.0}})
    [row] = measure(serve(api).lm("openai/some"), [ScoreItem(QUESTION, ("A", "The tree", "B"))])
    assert row == [Likelihood(-6.0, 1, True), Likelihood(-0.5, 1, True), Likelihood(-6.0, 1, True)]


def test_an_api_cannot_continue_an_answer(serve: Any, measure: Score) -> None:
    server = serve(listing({}))
    with pytest.raises(CannotMeasureError, match="cannot continue one that was begun"):
        measure(server.lm("openai/some"), [ScoreItem((*QUESTION, Turn("assistant", "I say:")), (" yes",))])
    assert not server.bodies


def test_an_api_that_returns_no_logprobs_is_an_error(serve: Any, measure: Score) -> None:
    server = serve(lambda body: (200, chat_reply(body, "A", "stop")))
    with pytest.raises(CannotMeasureError, match=r"openai/some: the API returned no log-prob.*'sampled'"):
        measure(server.lm("openai/some"), [ScoreItem(QUESTION, ("A",))])


def test_a_refusal_is_explained_and_does_not_repeat_the_key(serve: Any, measure: Score) -> None:
    text = f"logprobs are not supported with reasoning models (key {KEY})"
    server = serve(lambda body: (400, {"error": {"message": text, "type": "invalid_request_error"}}))
    with pytest.raises(CannotMeasureError, match="logprobs are not supported with reasoning models") as raised:
        measure(server.lm("openai/o3", temperature=1.0, max_tokens=16000), [ScoreItem(QUESTION, ("A",))])
    assert KEY not in "".join(traceback.format_exception(raised.value))


def test_other_failures_keep_their_own_errors(serve: Any, measure: Score) -> None:
    server = serve(lambda body: (401, {"error": {"message": "wrong key", "type": "invalid_api_key"}}))
    with pytest.raises(dspy.LMAuthError, match="wrong key"):
        measure(server.lm("openai/some"), [ScoreItem((Turn("user", f"{n}?"),), ("A",)) for n in range(20)])
    assert len(server.bodies) < 20


def test_only_measurements_go_without_the_warning_of_truncation(
    serve: Any, measure: Score, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(logging.getLogger("dspy"), "propagate", True)
    lm = serve(listing({"Which one?": {"A": -0.5}})).lm("openai/some")
    measure(lm, [ScoreItem(QUESTION, ("A",))])
    assert "truncated" not in caplog.text
    settings = {"logprobs": True, "top_logprobs": 20, "temperature": 0.0, "max_tokens": 1}
    lm("Which one?", **settings)
    lm.close()
    assert "truncated" in caplog.text


def test_a_configured_server_is_asked_whatever_another_of_that_name_has_said(
    serve: Any, dspy_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", KEY)
    servers = {said: serve(lambda body, said=said: (200, chat_reply(body, said, "stop"))) for said in ("Yes.", "No.")}
    for said, server in servers.items():
        address = f"http://127.0.0.1:{server.server_port}/v1"
        lm = build_lm(LMConfig(model="openai/some", api_base=address, api_key_env="SOME_API_KEY"))
        assert lm("Which one?") == [said]
        lm.close()
