"""From logits to one token per row: greedy or sampled, each row with its own settings and its own random stream.

A row's token depends on that row's logits and draw alone, whatever shares the batch. This file knows tensors only.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch

_CANDIDATES = 256


@dataclass(frozen=True)
class Sampling:
    """How one request draws its tokens.

    Attributes:
        temperature: 0 is greedy; otherwise logits are divided by it.
        top_p: Smallest set of most likely tokens whose probability reaches this is kept (1 keeps all).
        top_k: Number of most likely tokens kept (None keeps all).
        seed: Seed of the request's own random stream; None draws from the operating system.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int | None = None
    seed: int | None = None

    @property
    def filtered(self) -> bool:
        """Whether only the most likely tokens can be drawn."""
        return self.top_p < 1.0 or self.top_k is not None


@dataclass
class Draw:
    """One row's settings and random stream."""

    sampling: Sampling
    stream: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.stream = random.Random(self.sampling.seed)


def choose_tokens(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    """Choose the next token of every row.

    Args:
        logits: Shape (rows, vocabulary), float32.
        draws: One per row; the streams of sampled rows advance by one draw.
    """
    tokens: list[int] = logits.argmax(dim=-1).tolist()
    sampled = [i for i, draw in enumerate(draws) if draw.sampling.temperature > 0]
    plain = [i for i in sampled if not draws[i].sampling.filtered]
    if plain:
        for i, token in zip(plain, _draw_plain(logits[plain], [draws[i] for i in plain]), strict=True):
            tokens[i] = token
    for i in sampled:
        if draws[i].sampling.filtered:
            tokens[i] = _draw_filtered(logits[i], draws[i])
    return tokens


def _draw_plain(logits: torch.Tensor, draws: Sequence[Draw]) -> list[int]:
    temperatures = torch.tensor([draw.sampling.temperature for draw in draws], device=logits.device)
    cumulated = torch.softmax(logits / temperatures[:, None], dim=-1).cumsum(dim=-1)
    points = torch.tensor([draw.stream.random() for draw in draws], device=logits.device)
    found = torch.searchsorted(cumulated, (points * cumulated[:, -1])[:, None], right=True)
    return [int(index) for index in found.clamp_(max=logits.shape[-1] - 1).flatten().tolist()]


def _draw_filtered(logits: torch.Tensor, draw: Draw) -> int:
    """Inverse-CDF draw from the kept tokens, most likely first; a full sort only where the nucleus is wide."""
    settings = draw.sampling
    scaled = torch.log_softmax(logits / settings.temperature, dim=-1)
    kept = min(settings.top_k or _CANDIDATES, scaled.shape[-1])
    values, indices = scaled.topk(kept)
    if settings.top_k is None and values.exp().sum() < settings.top_p:
        values, indices = scaled.sort(descending=True)
    mass = values.exp()
    mass = mass / mass.sum() if settings.top_k is not None else mass
    before = mass.cumsum(dim=-1) - mass
    mass = mass * (before < settings.top_p)
    mass[0] = mass[0].clamp_min(torch.finfo(mass.dtype).tiny)
    cumulated = mass.cumsum(dim=-1)
    position = torch.searchsorted(cumulated, cumulated[-1] * draw.stream.random(), right=True)
    last = int(mass.count_nonzero()) - 1
    return int(indices[min(int(position), last)])
