"""What six adapters cost beside the base alone: decoding speed on as many rows, and memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import psutil
import torch
from figures import Figure
from torch import nn
from workload import comment_turns

from modplural.programs.engines.backbone import Backbone

SPEED_TARGET = 0.75
MEMORY_TARGET = 1.2


class Batch(NamedTuple):
    """Rows that decode together: their prompts as token ids, and the adapter of each."""

    prompts: list[list[int]]
    adapters: list[str | None]

    @property
    def without_adapters(self) -> Batch:
        """The same prompts on the base model."""
        return Batch(self.prompts, [None] * len(self.prompts))


def mixed_batch(backbone: Backbone, questions: Sequence[str], adapters: Sequence[str], rows: int) -> Batch:
    """A batch of `rows` rows in which questions and adapters take turns."""
    prompts = [backbone.chat.encode(comment_turns(question)) for question in questions]
    return Batch(
        [prompts[row % len(prompts)] for row in range(rows)], [adapters[row % len(adapters)] for row in range(rows)]
    )


@torch.inference_mode()
def decode_seconds(backbone: Backbone, batch: Batch, steps: int) -> float:
    """Seconds that `steps` decoding steps of a batch take; its prompts are run before the clock starts."""
    cache = backbone.new_cache()
    cache.reserve(len(batch.prompts), max(map(len, batch.prompts)) + steps)
    tokens = backbone.prefill(cache, batch.prompts, batch.adapters).argmax(dim=-1).tolist()
    start = time.perf_counter()
    for _ in range(steps):
        # Fetching the tokens waits for the device, so that the clock sees all of the work.
        tokens = backbone.step(cache, tokens, batch.adapters).argmax(dim=-1).tolist()
    return time.perf_counter() - start


def decoding_speed(
    base: Backbone, stacked: Backbone, batch: Batch, steps: int, rounds: int, advance: Callable[[], None]
) -> Figure:
    """Tokens per second of a mixed batch against the base alone: medians over rounds in which the two take turns."""
    alone, mixed = [], []
    for index in range(rounds):
        # The order alternates as well, so that a machine that slows down or speeds up favours neither.
        for is_mixed in (False, True) if index % 2 else (True, False):
            if is_mixed:
                mixed.append(decode_seconds(stacked, batch, steps))
            else:
                alone.append(decode_seconds(base, batch.without_adapters, steps))
        advance()
    tokens = steps * len(batch.prompts)
    return Figure(
        f"decoding {len(batch.prompts)} rows, tokens/s",
        other=tokens / statistics.median(alone),
        ours=tokens / statistics.median(mixed),
        ratio=statistics.median(a / m for a, m in zip(alone, mixed, strict=True)),
        target=SPEED_TARGET,
    )


def stack_adapters(backbone: Backbone, adapters: Mapping[str, Path]) -> list[Figure]:
    """Load adapters and compare memory before and after, in units of 1e6 bytes."""
    weights, resident = weight_bytes(backbone.model), resident_bytes(backbone)
    for name, folder in adapters.items():
        backbone.load_adapter(name, folder)
    return [
        _memory("weights, MB", weights, weight_bytes(backbone.model)),
        _memory("resident memory, MB", resident, resident_bytes(backbone)),
    ]


def _memory(name: str, before: int, after: int) -> Figure:
    return Figure(name, before / 1e6, after / 1e6, after / before, MEMORY_TARGET, at_most=True)


def weight_bytes(model: nn.Module) -> int:
    """Bytes of all parameters and buffers; what shares storage counts once."""
    storages = (tensor.untyped_storage() for tensor in [*model.parameters(), *model.buffers()])
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def resident_bytes(backbone: Backbone) -> int:
    """Memory in use: the device's, or this whole process's after every weight was read, as files are mapped lazily."""
    if backbone.device.type == "cuda":
        return torch.cuda.memory_allocated(backbone.device)
    with torch.inference_mode():
        for tensor in [*backbone.model.parameters(), *backbone.model.buffers()]:
            tensor.sum()
    return int(psutil.Process().memory_info().rss)
