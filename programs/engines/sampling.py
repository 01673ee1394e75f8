"""From logits to one token per row: greedy or sampled, each row with its own settings and its own random stream.

Tokens are drawn by adding Gumbel noise to the logits and taking the largest (Gumbel, 1954; Maddison et al., 2014). Each
token of the vocabulary has its own noise, so that a draw changes only where two tokens come within rounding of each
other: a row gives the same tokens whatever shares the batch. This file knows tensors only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

_COLDEST = 1e-5
"""Lower temperatures are greedy: dividing by them would overflow."""

_NUCLEUS = 256
"""Tokens sorted at first for `top_p`: sorting a vocabulary takes longer than a step, and few nuclei are wider."""
_WIDER = 16
"""How many times more tokens are sorted for a nucleus that is wider."""


@dataclass(frozen=True)
class Sampling:
    """How one request draws its tokens.

    Attributes:
        temperature: 0 is greedy; otherwise logits are divided by it.
        top_p: Smallest set of most likely tokens whose probability reaches this is kept (1 keeps all).
        top_k: Number of most likely tokens kept, before `top_p` (None keeps all).
        seed: Seed of the request's own random stream; None draws one from the operating system.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int | None = None

    @property
    def greedy(self) -> bool:
        """Whether the most likely token is taken."""
        return self.temperature < _COLDEST

    @property
    def filtered(self) -> bool:
        """Whether only the most likely tokens can be drawn."""
        return not self.greedy and (self.top_p < 1.0 or self.top_k is not None)


@dataclass
class Draw:
    """One row's settings and random stream."""

    sampling: Sampling
    _generator: torch.Generator | None = field(default=None, init=False)

    def uniform(self, numbers: torch.Tensor) -> None:
        """Fill a tensor with the stream's next numbers, in [0, 1)."""
        if self._generator is None:
            self._generator = torch.Generator(numbers.device)
            if self.sampling.seed is None:
                self._generator.seed()
            else:
                self._generator.manual_seed(self.sampling.seed % 2**63)
        numbers.uniform_(generator=self._generator)


def choose_tokens(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """Choose the next token of every row.

    Args:
        logits: Shape (rows, vocabulary), float32.
        draws: One per row; the streams of sampled rows advance by one draw.
    """
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    sampled = [row for row, draw in enumerate(draws) if not draw.sampling.greedy]
    if sampled:
        drawn = _draw(logits[sampled], [draws[row] for row in sampled])
        for row, token in zip(sampled, drawn, strict=True):
            tokens[row] = token
    return tokens


def _draw(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    temperatures = torch.tensor([draw.sampling.temperature for draw in draws], device=logits.device)
    scores = logits / temperatures[:, None]
    filtered = [row for row, draw in enumerate(draws) if draw.sampling.filtered]
    if filtered:
        scores[filtered] = _keep_likely(scores[filtered], [draws[row].sampling for row in filtered], _NUCLEUS)
    noise = torch.empty_like(scores)
    for draw, numbers in zip(draws, noise, strict=True):
        draw.uniform(numbers)
    tokens: list[int] = (scores - noise.log_().neg_().log_()).argmax(dim=-1).tolist()
    return tokens


def _keep_likely(scores: torch.Tensor, settings: Sequence[Sampling], width: int) -> torch.Tensor:
    """Put what lies outside a row's `top_k` and `top_p` at minus infinity; what ties with the last token kept stays.

    Args:
        scores: Logits over temperature, shape (rows, vocabulary).
        settings: One per row; all of them filter.
        width: How many of the largest scores to sort for rows without `top_k`.
    """
    vocabulary, device = scores.shape[-1], scores.device
    top_k = torch.tensor([[min(setting.top_k or vocabulary, vocabulary)] for setting in settings], device=device)
    top_p = torch.tensor([[setting.top_p] for setting in settings], device=device)
    width = min(max([width, *(setting.top_k or 0 for setting in settings)]), vocabulary)
    ranks = torch.arange(width, device=device)
    values = scores.topk(width).values.masked_fill(ranks >= top_k, -math.inf)
    total = torch.where(top_k < vocabulary, values.logsumexp(-1, keepdim=True), scores.logsumexp(-1, keepdim=True))
    mass = (values - total).exp()
    kept = ((mass.cumsum(-1) - mass < top_p) & (ranks < top_k)).sum(-1, keepdim=True).clamp_min(1)
    likely = scores.masked_fill(scores < values.gather(1, kept - 1), -math.inf)
    if width < vocabulary:
        for row in (
            ((top_k == vocabulary) & (mass.sum(-1, keepdim=True) < top_p)).flatten().nonzero().flatten().tolist()
        ):
            one = slice(row, row + 1)
            likely[one] = _keep_likely(scores[one], settings[one], width * _WIDER)
    return likely
