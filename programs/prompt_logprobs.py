"""Likelihoods from a vLLM server, exact for any token whatever its rank.

Three kinds of requests serve, all of them chat completions of one token:

- a *probe* has a continuation in the answer to a tiny prompt and tells its tokens; cached, once per continuation;
- a *head* is the prompt: its token ids, and the log-probability of every continuation's first token;
- a *tail* is the prompt with a continuation as its answer: the log-probabilities of all tokens. Continuations of one
  token do not need it.

A tail counts only if its tokens are the prompt's and then the continuation's own. They are not where both merge into
one token, or where the chat template trims an answer's leading space: that continuation is bounded by its first token.
This file must not know how requests are sent or what the likelihoods are for.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NamedTuple

from dspy.lm15 import Config, Request, Response

from .asking import Ask, CannotMeasureError, Plan, chat_request
from .engines.scoring import Likelihood, ScoreItem, Turn

Tokens = tuple[int, ...]

_PROBE = (Turn("user", "."), Turn("assistant", "x"))
"""An answer begun, because templates may trim a leading space where an answer starts, but not inside it."""

_ID = "token_id:"


class _Head(NamedTuple):
    """A prompt's token ids, and the log-probabilities of some tokens that may come next."""

    prompt: Tokens
    next_tokens: dict[int, float]


@dataclass(frozen=True)
class PromptLogprobs:
    """Asks vLLM's extra request fields for log-probabilities of named next tokens and of the tokens of a prompt."""

    model: str
    method: ClassVar[str] = "prompt_logprobs"
    can: ClassVar[frozenset[str]] = frozenset({"next_token", "continuation"})

    def plan(self, items: Sequence[ScoreItem]) -> Plan:
        """Plan the probes, then a head per item, then a tail per continuation of several tokens."""
        tokens = yield from self._learn_tokens({text for item in items for text in item.continuations})
        heads: list[_Head] = yield [
            self._head(item.prompt, {tokens[t][0] for t in item.continuations}) for item in items
        ]
        asked = list(zip(items, heads, strict=True))
        tails = {
            (row, text): self._tail(item.prompt, text, head.prompt, tokens[text])
            for row, (item, head) in enumerate(asked)
            for text in item.continuations
            if len(tokens[text]) > 1 or tokens[text][0] not in head.next_tokens
        }
        sums = dict(zip(tails, (yield list(tails.values())), strict=True))
        return [
            [self._likelihood(text, tokens[text], head, sums.get((row, text))) for text in item.continuations]
            for row, (item, head) in enumerate(asked)
        ]

    def _likelihood(self, text: str, tokens: Tokens, head: _Head, tail: dict[str, float | None] | None) -> Likelihood:
        total = tail["logprob"] if tail else None
        if total is not None:
            return Likelihood(total, len(tokens))
        first = head.next_tokens.get(tokens[0])
        if first is None:
            problem = f"this vLLM is too old to be asked for the tokens of {text!r}, which merges with the prompt"
            raise CannotMeasureError(self.model, problem, "update it (0.32 was tried)")
        return Likelihood(first, len(tokens), bounded=tail is not None)

    def _learn_tokens(self, texts: Iterable[str]) -> Generator[list[Ask], Any, dict[str, Tokens]]:
        """Learn each continuation's own tokens, from what the server makes of it where it stands apart."""
        apart = {text: text if text[0].isspace() else f"\n{text}" for text in sorted(texts)}
        probes = [Ask(_answered(self.model, _PROBE, spaced), self._read_pieces) for spaced in apart.values()]
        head, *answers = yield [self._head(_PROBE), *probes]
        learned = {}
        for (text, spaced), (tokens, pieces) in zip(apart.items(), answers, strict=True):
            start = len(head.prompt)
            # Some tokenizers show the space before a word in no piece.
            kept = "".join(pieces[start:]).lstrip() == text.lstrip() and tokens[:start] == head.prompt
            if not kept or (spaced != text and pieces[start] != "\n"):
                problem = f"the server's chat template does not keep the continuation {text!r} as it is"
                raise CannotMeasureError(self.model, problem, "a space at its end may be the reason")
            learned[text] = tokens[start + (spaced != text) :]
        return learned

    def _head(self, prompt: Sequence[Turn], next_tokens: Iterable[int] = ()) -> Ask:
        ids = sorted(next_tokens)
        named = {"logprob_token_ids": ids, "return_tokens_as_token_ids": True} if ids else {}
        return Ask(_request(self.model, prompt, named, logprobs=0 if ids else None), self._read_head)

    def _tail(self, prompt: Sequence[Turn], text: str, before: Tokens, tokens: Tokens) -> Ask:
        read = partial(self._read_sum, before, tokens)
        return Ask(_answered(self.model, prompt, text), read, bulky=True)

    def _read_head(self, response: Response) -> _Head:
        listed = response.logprobs[0].top if response.logprobs else ()
        named = {entry.token: entry.logprob for entry in listed if entry.token.startswith(_ID)}
        return _Head(self._tokens(response), {int(name.removeprefix(_ID)): value for name, value in named.items()})

    def _read_pieces(self, response: Response) -> tuple[Tokens, list[str]]:
        """Token ids of a probe, and the text of each."""
        tokens = self._tokens(response)
        pieces = [
            _of(entry, token)["decoded_token"] for token, entry in zip(tokens, self._entries(response), strict=True)
        ]
        return tokens, pieces

    def _read_sum(self, before: Tokens, tokens: Tokens, response: Response) -> dict[str, float | None]:
        """Sum over the continuation's tokens; None where they are not the prompt's and then the continuation's own."""
        if self._tokens(response) != before + tokens:
            return {"logprob": None}
        entries = self._entries(response)[len(before) :]
        return {
            "logprob": math.fsum(_of(entry, token)["logprob"] for token, entry in zip(tokens, entries, strict=True))
        }

    def _tokens(self, response: Response) -> Tokens:
        return tuple(self._field(response, "prompt_token_ids"))

    def _entries(self, response: Response) -> list[Any]:
        return list(self._field(response, "prompt_logprobs"))

    def _field(self, response: Response, name: str) -> Any:
        value = (response.provider_data or {}).get(name)
        if value is None:
            problem = f"the server's reply lacks {name!r}, so it is not vLLM or an old one (0.32 was tried)"
            raise CannotMeasureError(self.model, problem, "for another server use the prefix openai/", lasting=True)
        return value


def _of(entry: dict[str, Any] | None, token: int) -> dict[str, Any]:
    """A prompt token's own record; the first token of a prompt has none, for nothing precedes it."""
    return entry[str(token)] if entry else {"logprob": 0.0, "decoded_token": ""}


def _answered(model: str, prompt: Sequence[Turn], text: str) -> Request:
    """The prompt with a continuation as its answer, or at the end of the answer it begins."""
    begun = prompt[-1].content if prompt[-1].role == "assistant" else None
    turns = [*(prompt if begun is None else prompt[:-1]), Turn("assistant", (begun or "") + text)]
    return _request(model, turns, {"prompt_logprobs": 0})


def _request(model: str, prompt: Sequence[Turn], asked: dict[str, Any], logprobs: int | None = None) -> Request:
    asked = {"return_token_ids": True, **asked}
    if prompt[-1].role == "assistant":  # go on from it instead of closing it
        asked |= {"add_generation_prompt": False, "continue_final_message": True}
    return chat_request(model, prompt, Config(max_tokens=1, temperature=0.0, logprobs=logprobs, extensions=asked))
