"""Running generations: rows that decode together, join when there is room and leave when they are done.

A row's result depends on its own prompt, adapter and settings only. This file knows token ids; it must not know
requests or threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import torch

from .backbone import Backbone
from .sampling import Draw, Sampling, choose_tokens

_STOP_MARGIN = 8
"""Tokens looked at before those that a stop text may span: tokenizers drop blanks where a text begins."""


@dataclass(frozen=True)
class GenerationSpec:
    """One generation to run.

    Attributes:
        prompt: Token ids.
        adapter: Key of the adapter, None for the base model.
        max_tokens: Most tokens to generate.
        sampling: How tokens are drawn.
        stop: Texts that end the generation and are cut off.
        logprobs: None for no log-probabilities; n for the chosen token's and the n most likely ones'.
    """

    prompt: tuple[int, ...]
    adapter: str | None
    max_tokens: int
    sampling: Sampling
    stop: tuple[str, ...] = ()
    logprobs: int | None = None

    @property
    def room(self) -> int:
        """Tokens of cache this generation may come to need."""
        return len(self.prompt) + self.max_tokens


@dataclass(frozen=True)
class TokenScore:
    """Natural-logarithm probability of a chosen token and of the most likely ones, before temperature."""

    token: int
    logprob: float
    top: tuple[tuple[int, float], ...]


@dataclass(frozen=True)
class Generated:
    """A finished generation; `tokens` leaves out the end token, `used` counts it."""

    text: str
    tokens: tuple[int, ...]
    used: int
    finish: Literal["stop", "length"]
    scores: tuple[TokenScore, ...]


@dataclass(eq=False)
class Row:
    """A generation under way."""

    spec: GenerationSpec
    draw: Draw = field(init=False)
    tokens: list[int] = field(default_factory=list)
    scores: list[TokenScore] = field(default_factory=list)
    result: Generated | None = None

    def __post_init__(self) -> None:
        self.draw = Draw(self.spec.sampling)


class Generations:
    """The running batch of one backbone."""

    def __init__(self, backbone: Backbone, max_rows: int, max_cells: int) -> None:
        """An empty batch of at most `max_rows` rows and `max_cells` cache positions (rows x longest row)."""
        self._backbone = backbone
        self._cache = backbone.new_cache(max_rows, max_cells)
        self._max_rows = max_rows
        self._max_cells = max_cells
        self.rows: list[Row] = []

    def fits(self, specs: Sequence[GenerationSpec]) -> bool:
        """Whether these can join now. An empty batch takes any single one."""
        everyone = [*(row.spec for row in self.rows), *specs]
        if len(everyone) == 1:
            return True
        return len(everyone) <= self._max_rows and len(everyone) * max(s.room for s in everyone) <= self._max_cells

    def join(self, rows: Sequence[Row]) -> list[Row]:
        """Run the prompts of new rows and draw their first tokens; returns those rows that are done at once.

        Where that fails, none of them has joined.
        """
        self._cache.reserve(len(self.rows) + len(rows), max(row.spec.room for row in [*self.rows, *rows]))
        specs = [row.spec for row in rows]
        try:
            logits = self._backbone.prefill(self._cache, [s.prompt for s in specs], [s.adapter for s in specs])
            self.rows += rows
            return self._advance(logits, rows)
        except Exception:
            for row in rows:
                self.leave(row)
            self._cache.truncate(len(self.rows))
            raise

    def step(self) -> list[Row]:
        """Generate one token for every row; returns the rows that are done and have left."""
        logits = self._backbone.step(
            self._cache, [row.tokens[-1] for row in self.rows], [row.spec.adapter for row in self.rows]
        )
        return self._advance(logits, self.rows)

    def leave(self, row: Row) -> None:
        """Take a row out of the batch if it is in it; the last row takes its slot."""
        if row not in self.rows:
            return
        index = self.rows.index(row)
        self._cache.drop(index)
        last = self.rows.pop()
        if last is not row:
            self.rows[index] = last

    def _advance(self, logits: torch.Tensor, rows: Sequence[Row]) -> list[Row]:
        tokens = choose_tokens(logits, [row.draw for row in rows])
        self._record_scores(logits, tokens, rows)
        for row, token in zip(rows, tokens, strict=True):
            row.tokens.append(token)
            row.result = self._finished(row)
        done = [row for row in rows if row.result is not None]
        for row in done:
            self.leave(row)
        return done

    def _record_scores(self, logits: torch.Tensor, tokens: Sequence[int], rows: Sequence[Row]) -> None:
        for index, (row, token) in enumerate(zip(rows, tokens, strict=True)):
            count = row.spec.logprobs
            if count is None:
                continue
            logprobs = logits[index].log_softmax(dim=-1)
            values, ids = logprobs.topk(min(count, len(logprobs)))
            top = tuple(zip(ids.tolist(), values.tolist(), strict=True))
            row.scores.append(TokenScore(token, float(logprobs[token]), top))

    def _finished(self, row: Row) -> Generated | None:
        if row.tokens[-1] in self._backbone.end_tokens:
            return self._result(row, row.tokens[:-1], "stop")
        if self._stops(row):
            text = self._backbone.chat.decode(row.tokens)
            cuts = [text.find(stop) for stop in row.spec.stop if stop in text]
            if cuts:
                return self._result(row, row.tokens, "stop", text[: min(cuts)])
        return self._result(row, row.tokens, "length") if len(row.tokens) >= row.spec.max_tokens else None

    def _stops(self, row: Row) -> bool:
        """Whether a stop text may just have been completed: only the last few tokens can have done that."""
        if not row.spec.stop:
            return False
        reach = max(len(stop.encode()) for stop in row.spec.stop) + _STOP_MARGIN
        tail = self._backbone.chat.decode(row.tokens[-reach:])
        return any(stop in tail for stop in row.spec.stop)

    def _result(
        self, row: Row, tokens: Sequence[int], finish: Literal["stop", "length"], text: str | None = None
    ) -> Generated:
        text = self._backbone.chat.decode(tokens) if text is None else text
        return Generated(text, tuple(tokens), len(row.tokens), finish, tuple(row.scores[: len(tokens)]))
