"""Requests are honoured or refused by name; nothing is dropped silently."""

import math
from typing import Any

import pytest
from dspy.lm15 import (
    Config,
    ContextLengthError,
    DataPart,
    ImagePart,
    Message,
    Reasoning,
    Request,
    TextPart,
    ToolChoice,
    UnsupportedFeatureError,
    choice,
    judgments,
    tool,
)

from modplural.programs.engines.generation import Generated, TokenScore
from modplural.programs.engines.sampling import Sampling
from modplural.programs.engines.scoring import Turn
from modplural.programs.engines.translate import (
    DEFAULT_MAX_TOKENS,
    check_supported,
    generated_response,
    generation_spec,
    read_turns,
)


def request(config: Config | None = None, **rest: Any) -> Request:
    return Request(**{"model": "m", "messages": (Message.user("hi"),), "config": config or Config(), **rest})


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"frequency_penalty": 0.5}, "frequency_penalty"),
        ({"presence_penalty": 0.5}, "presence_penalty"),
        ({"service_tier": "fast"}, "service_tier"),
        ({"store": True}, "store"),
        ({"reasoning": Reasoning(effort="low")}, "reasoning"),
        ({"tool_choice": ToolChoice(mode="auto")}, "tool_choice"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"extensions": {"logit_bias": {"5": 1}}}, "logit_bias"),
        ({"probabilities": "required"}, "probabilities"),
    ],
)
def test_settings_that_are_not_supported_are_refused_by_name(config: dict[str, Any], name: str) -> None:
    with pytest.raises(UnsupportedFeatureError, match=rf"does not support {name}; it supports .*temperature") as caught:
        check_supported(request(Config(**config)))
    assert caught.value.feature == name


def test_tools_are_refused() -> None:
    def look(where: str) -> str:
        """Look somewhere."""
        return where

    with pytest.raises(UnsupportedFeatureError, match="does not support tools"):
        check_supported(request(tools=(tool(look),)))


def test_everything_supported_is_accepted() -> None:
    config = Config(temperature=1, top_p=0.5, top_k=3, max_tokens=9, stop=("x",), seed=1, logprobs=2, user_id="someone")
    check_supported(request(config))
    check_supported(request(Config(response_format=judgments(a=choice("?", ["x", "y"])), probabilities="required")))


def test_turns_are_read_in_order_with_the_system_text_first() -> None:
    messages = (
        Message(role="developer", parts=(TextPart("Be brief."),)),
        Message.user("Is it"),
        Message.assistant("What?"),
        Message(role="user", parts=(TextPart("right? "), DataPart({"a": "é"}))),
    )
    assert read_turns(request(messages=messages, system="Be kind.")) == [
        Turn("system", "Be kind."),
        Turn("system", "Be brief."),
        Turn("user", "Is it"),
        Turn("assistant", "What?"),
        Turn("user", 'right? {"a": "é"}'),
    ]


def test_what_is_no_text_is_refused() -> None:
    image = ImagePart(url="http://127.0.0.1/x.png")
    with pytest.raises(UnsupportedFeatureError, match="does not read image parts"):
        read_turns(request(messages=(Message(role="user", parts=(image,)),)))


def test_settings_become_a_generation() -> None:
    config = Config(temperature=0.5, top_p=0.9, top_k=5, max_tokens=7, stop=("x", "y"), seed=3, logprobs=2)
    spec = generation_spec(config, [1, 2, 3], "care", 100)
    assert spec.sampling == Sampling(0.5, 0.9, 5, 3)
    assert (spec.prompt, spec.adapter, spec.max_tokens, spec.stop, spec.logprobs) == (
        (1, 2, 3),
        "care",
        7,
        ("x", "y"),
        2,
    )


def test_defaults_are_greedy_and_bounded() -> None:
    spec = generation_spec(Config(), [1], None, 10**6)
    assert spec.sampling.greedy
    assert (spec.max_tokens, spec.stop, spec.logprobs) == (DEFAULT_MAX_TOKENS, (), None)
    assert generation_spec(Config(top_p=0.0, temperature=1), [1], None, 10).sampling.top_p == 0.0


def test_max_tokens_are_cut_to_the_context_and_no_room_is_an_error() -> None:
    assert generation_spec(Config(max_tokens=50), [1] * 90, None, 100).max_tokens == 10
    assert generation_spec(Config(max_tokens=50), [1] * 99, None, 100).max_tokens == 1
    with pytest.raises(ContextLengthError, match="needs 101 tokens, the model's context holds 100"):
        generation_spec(Config(max_tokens=50), [1] * 100, None, 100)


def test_a_generation_becomes_a_response() -> None:
    scores = (TokenScore(5, -0.5, ((5, -0.5), (6, -2.0))),)
    response = generated_response(request(), Generated("text", (5,), 2, "stop", scores), 9, lambda token: f"<{token}>")
    assert response.message.text == "text"
    assert response.finish_reason == "stop"
    assert (response.usage.input_tokens, response.usage.output_tokens) == (9, 2)
    assert response.logprobs is not None
    [entry] = response.logprobs
    assert (entry.token, entry.token_id, entry.logprob) == ("<5>", 5, -0.5)
    assert [(top.token, math.exp(top.logprob)) for top in entry.top] == [("<5>", math.exp(-0.5)), ("<6>", math.exp(-2))]
    assert generated_response(request(), Generated("", (), 1, "stop", ()), 9, str).logprobs is None
