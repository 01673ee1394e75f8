"""Between DSPy's canonical requests and what the in-process engine runs.

Everything a request can ask is either honoured or refused by name: nothing is dropped silently. This file knows the
request format; it must not know batches or threads.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from dspy.lm15 import (
    Config,
    ContextLengthError,
    DataPart,
    Message,
    Request,
    Response,
    TextPart,
    TokenLogprob,
    TopLogprob,
    UnsupportedFeatureError,
    Usage,
)

from .generation import Generated, GenerationSpec, TokenScore
from .judgments import declared_judgments
from .sampling import Sampling
from .scoring import EXTENSION, Turn

DEFAULT_MAX_TOKENS = 512
"""Tokens generated at most where a request does not say: small LMs that ramble should not ramble for minutes."""

SUPPORTED = frozenset(
    {"temperature", "top_p", "top_k", "max_tokens", "stop", "seed", "logprobs", "top_logprobs", "user"}
)
"""LM settings that are honoured, by their DSPy names. `user` only attributes a call and changes nothing here."""

_REFUSED = ("tool_choice", "reasoning", "cache", "frequency_penalty", "presence_penalty", "service_tier", "store")


def check_supported(request: Request) -> None:
    """Refuse what the engine cannot honour.

    Raises:
        dspy.lm15.UnsupportedFeatureError: Names the setting and lists those that are supported.
    """
    asked = [name for name in _REFUSED if getattr(request.config, name) is not None]
    asked += ["tools"] if request.tools else []
    asked += sorted(set(request.config.extensions or ()) - {EXTENSION})
    if not declared_judgments(request):
        asked += ["response_format"] if request.config.response_format is not None else []
        asked += ["probabilities"] if request.config.probabilities == "required" else []
    if asked:
        raise UnsupportedFeatureError(
            f"the in-process engine does not support {', '.join(asked)}; it supports {', '.join(sorted(SUPPORTED))} "
            "and response_format with judgments",
            feature=asked[0],
        )


def read_turns(request: Request) -> list[Turn]:
    """The conversation of a request: the system prompt first, then its messages."""
    turns = [] if request.system is None else [Turn("system", _text(request.system))]
    for message in request.messages:
        if message.role not in ("system", "developer", "user", "assistant"):
            raise UnsupportedFeatureError(
                f"the in-process engine does not support messages of role {message.role!r}", feature="role"
            )
        role = "system" if message.role == "developer" else message.role
        turns.append(Turn(role, _text(message.parts)))
    return turns


def _text(content: str | Sequence[Any]) -> str:
    if isinstance(content, str):
        return content
    return "".join(_part_text(part) for part in content)


def _part_text(part: Any) -> str:
    if isinstance(part, TextPart):
        return part.text
    if isinstance(part, DataPart):
        return json.dumps(part.value, ensure_ascii=False)
    raise UnsupportedFeatureError(
        f"the in-process engine does not read {part.type} parts, only text", feature=part.type
    )


def generation_spec(config: Config, prompt: Sequence[int], adapter: str | None, context: int) -> GenerationSpec:
    """What to generate for a prompt under a request's settings.

    Args:
        config: The request's settings.
        prompt: Token ids.
        adapter: Key of the adapter, None for the base model.
        context: The model's context length in tokens; `max_tokens` is cut to what the prompt leaves of it.

    Raises:
        dspy.lm15.ContextLengthError: The prompt leaves no room.
    """
    check_fits(len(prompt) + 1, context)
    sampling = Sampling(
        temperature=config.temperature or 0.0,
        top_p=1.0 if config.top_p is None else config.top_p,
        top_k=config.top_k,
        seed=config.seed,
    )
    max_tokens = min(config.max_tokens or DEFAULT_MAX_TOKENS, context - len(prompt))
    return GenerationSpec(tuple(prompt), adapter, max_tokens, sampling, tuple(config.stop), config.logprobs)


def check_fits(tokens: int, context: int) -> None:
    """Refuse what is longer than the model's context.

    Raises:
        dspy.lm15.ContextLengthError: Gives both lengths in tokens.
    """
    if tokens > context:
        raise ContextLengthError(f"the request needs {tokens} tokens, the model's context holds {context}")


def generated_response(
    request: Request, generated: Generated, prompt_tokens: int, token_text: Callable[[int], str]
) -> Response:
    """The response to a generation."""
    return Response(
        id=None,
        model=request.model,
        message=Message.assistant(generated.text),
        finish_reason=generated.finish,
        usage=Usage(input_tokens=prompt_tokens, output_tokens=generated.used),
        logprobs=tuple(_token_logprob(score, token_text) for score in generated.scores) or None,
    )


def _token_logprob(score: TokenScore, token_text: Callable[[int], str]) -> TokenLogprob:
    return TokenLogprob(
        token=token_text(score.token),
        logprob=score.logprob,
        token_id=score.token,
        top=tuple(TopLogprob(token=token_text(token), logprob=logprob, token_id=token) for token, logprob in score.top),
    )
