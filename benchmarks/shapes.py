"""Absolute figures of the engine on random weights in the shape of a large model: no files, no download.

What counts on a GPU is how near decoding comes to the limit that memory sets: each step has to read every weight once.
"""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from against_base import decode_seconds, mixed_batch, weight_bytes
from figures import progress_bars, rounded, stage
from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import AutoModelForCausalLM, MistralConfig, PreTrainedTokenizerFast
from workload import ADAPTERS, LETTERS, Task, Workload, choice_turns, comment_turns, write_adapters

from modplural.programs.engines.backbone import Backbone
from modplural.programs.engines.generation import GenerationSpec
from modplural.programs.engines.likelihood import TokenItem
from modplural.programs.engines.sampling import Sampling
from modplural.programs.engines.worker import GenerateJob, ScoreJob, Worker, default_limits

RANK = 16
_COPIES = 10


@dataclass(frozen=True)
class Shape:
    """A model's shape, and what is asked of it.

    Attributes:
        config: The architecture.
        workload: Questions, tokens, decoding steps and rounds.
        rows: Batch sizes to decode at.
        copied: Bytes that are copied to measure the memory's bandwidth.
        needs_cuda: Whether it is refused elsewhere.
    """

    config: MistralConfig
    workload: Workload
    rows: Sequence[int]
    copied: int
    needs_cuda: bool


@dataclass(frozen=True)
class Decoding:
    """Decoding at one batch size: tokens per second, and the share of what the memory's bandwidth allows."""

    tokens_per_s: float
    share: float


def mistral_7b(workload: Workload) -> Shape:
    """The shape of Mistral-7B-Instruct-v0.1."""
    config = MistralConfig(
        hidden_size=4096,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
        intermediate_size=14336,
        vocab_size=32000,
        sliding_window=4096,
    )
    return Shape(config, workload, rows=(1, 6, 36, 192), copied=2**32, needs_cuda=True)


def tiny(workload: Workload) -> Shape:
    """A stand-in that runs anywhere, with a window shorter than its prompts."""
    config = MistralConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=128,
        vocab_size=320,
        sliding_window=64,
    )
    return Shape(config, workload, rows=(1, 6), copied=2**20, needs_cuda=False)


def measure_shape(shape: Shape, folder: Path, console: Console) -> int:
    """Measure and print; the exit code says whether there was a device to do it on.

    Args:
        shape: What to measure.
        folder: An empty folder for the adapters.
        console: Where progress and tables go.
    """
    if shape.needs_cuda and not torch.cuda.is_available():
        console.print(
            "This shape needs a CUDA device with 32 GB or more, and torch sees none; --shape tiny runs anywhere."
        )
        return os.EX_UNAVAILABLE
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    bandwidth = copy_bandwidth(device, shape.copied)
    backbone = random_backbone(shape.config, device)
    with progress_bars(console) as progress:
        base_bytes = weight_bytes(backbone.model)
        alone = _decode(backbone, shape, [None], bandwidth, stage(progress, "decoding, base alone", len(shape.rows)))
        adapters = write_adapters(folder, backbone.model, RANK)
        for name, path in adapters.items():
            backbone.load_adapter(name, path)
        mixed = _decode(
            backbone, shape, ADAPTERS, bandwidth, stage(progress, "decoding, six adapters", len(shape.rows))
        )
        facts = {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU",
            "memory bandwidth, as copying shows it, GB/s": rounded(bandwidth / 1e9),
            "weights, base alone, GB": rounded(base_bytes / 1e9),
            "weights, with six adapters, GB": rounded(weight_bytes(backbone.model) / 1e9),
            **_through_worker(backbone, shape.workload, adapters, progress),
        }
    if device.type == "cuda":
        facts["most device memory in use, with caches, GB"] = rounded(torch.cuda.max_memory_allocated(device) / 1e9)
    console.print(_decoding_table(shape.rows, alone, mixed))
    console.print(_facts_table(facts))
    return os.EX_OK


def random_backbone(config: MistralConfig, device: torch.device) -> Backbone:
    """A model of random bfloat16 weights, made on the device, with a tokenizer that writes a token for every byte."""
    torch.manual_seed(0)
    with device:
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16, attn_implementation="sdpa")
    return Backbone(model, byte_tokenizer())


def byte_tokenizer() -> PreTrainedTokenizerFast:
    """Ids below 257, so that they fit any model's vocabulary."""
    end = "<|end|>"
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={symbol: index for index, symbol in enumerate([end, *alphabet])}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=end)


def copy_bandwidth(device: torch.device, size: int) -> float:
    """Bytes per second that the device's memory moves, reads and writes together, in the best of some large copies."""
    source = torch.ones(size, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    seconds = []
    for _ in range(_COPIES):
        _wait(device)
        start = time.perf_counter()
        target.copy_(source)
        _wait(device)
        seconds.append(time.perf_counter() - start)
    return 2 * size / min(seconds)


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _decode(
    backbone: Backbone, shape: Shape, adapters: Sequence[str | None], bandwidth: float, advance: Any
) -> list[Decoding]:
    """Decoding at every batch size, in the median of the rounds."""
    read = weight_bytes(backbone.model) - _unread_bytes(backbone.model)
    found = []
    for rows in shape.rows:
        batch = mixed_batch(backbone, shape.workload.questions, adapters, rows)
        steps = shape.workload.steps
        decode_seconds(backbone, batch, steps)  # kernels are chosen, and memory is taken, the first time
        step_s = statistics.median(decode_seconds(backbone, batch, steps) for _ in range(shape.workload.rounds)) / steps
        found.append(Decoding(rows / step_s, read / step_s / bandwidth))
        advance()
    return found


def _unread_bytes(model: Any) -> int:
    """Bytes of the input embedding where it is not the output's as well: of it a step reads a few rows only."""
    weight = model.get_input_embeddings().weight
    return 0 if weight is model.get_output_embeddings().weight else weight.nbytes


def _through_worker(
    backbone: Backbone, workload: Workload, adapters: Mapping[str, Path], progress: Progress
) -> dict[str, str]:
    """Throughput of everything at once through the engine's worker, prompts included."""
    worker = Worker(lambda: backbone, default_limits)
    generations = [_generation(backbone, task, workload.tokens, adapters) for task in workload.tasks]
    scores = [_score(backbone, task, adapters) for task in workload.tasks]
    try:
        generate_s = _run(worker, generations, progress, "generation")
        score_s = _run(worker, scores, progress, "option distributions")
    finally:
        worker.close()
    tokens = sum(job.future.result().used for job in generations)
    prompts = sum(len(job.spec.prompt) for job in generations)
    return {
        f"generation, {len(generations)} requests at once, tokens/s": rounded(tokens / generate_s),
        "  and tokens of their prompts/s": rounded(prompts / generate_s),
        f"option distributions, {len(scores)} at once, /s": rounded(len(scores) / score_s),
    }


def _generation(backbone: Backbone, task: Task, tokens: int, adapters: Mapping[str, Path]) -> GenerateJob:
    prompt = tuple(backbone.chat.encode(comment_turns(task.question)))
    return GenerateJob(GenerationSpec(prompt, task.adapter, tokens, Sampling()), adapters[task.adapter])


def _score(backbone: Backbone, task: Task, adapters: Mapping[str, Path]) -> ScoreJob:
    prompt = tuple(backbone.chat.encode(choice_turns(task.question)))
    letters = tuple(
        tuple(backbone.chat.encode_continuation(text)) for letter in LETTERS for text in (letter, f" {letter}")
    )
    return ScoreJob([TokenItem(prompt, letters)], task.adapter, adapters[task.adapter])


def _run(worker: Worker, jobs: Sequence[GenerateJob | ScoreJob], progress: Progress, name: str) -> float:
    advance = stage(progress, name, len(jobs))

    def done(_: Future[Any]) -> None:
        advance()

    start = time.perf_counter()
    for job in jobs:
        job.future.add_done_callback(done)
        worker.submit(job)
    for job in jobs:
        job.future.result()
    return time.perf_counter() - start


def _decoding_table(rows: Sequence[int], alone: Sequence[Decoding], mixed: Sequence[Decoding]) -> Table:
    table = Table(title="Decoding, tokens/s, and share of the memory-bandwidth limit", title_justify="left")
    for heading in ("rows", "base alone", "share", "six adapters", "share", "ratio"):
        table.add_column(heading, justify="right")
    for count, base, six in zip(rows, alone, mixed, strict=True):
        table.add_row(
            str(count),
            rounded(base.tokens_per_s),
            f"{base.share:.0%}",
            rounded(six.tokens_per_s),
            f"{six.share:.0%}",
            f"{six.tokens_per_s / base.tokens_per_s:.2f}",
        )
    return table


def _facts_table(facts: Mapping[str, str]) -> Table:
    table = Table(show_header=False)
    table.add_column()
    table.add_column(justify="right")
    for name, value in facts.items():
        table.add_row(name, value)
    return table
