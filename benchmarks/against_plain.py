"""The comparison with the plain way: the same prompts both ways, the figures, and what is said beside them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from against_base import decoding_speed, mixed_batch, stack_adapters
from engine_way import EngineWay
from figures import Figure, comparison, progress_bars, stage
from plain_way import PlainWay
from rich.console import Console
from rich.progress import Progress
from transformers import AutoTokenizer
from workload import ADAPTERS, Answer, Task, Workload, one_token_spellings, write_adapters

from modplural.programs.engines.backbone import load_backbone
from modplural.programs.engines.models import resolve_model

T = TypeVar("T")

GENERATION_TARGET = 8.0
DISTRIBUTION_TARGET = 12.0
RANK = 8


@dataclass(frozen=True)
class Race(Generic[T]):
    """What both ways answered, and how many seconds they took: ours for every task, the plain way for its sample."""

    ours: dict[Task, T]
    plain: dict[Task, T]
    ours_s: float
    plain_s: float

    @property
    def pairs(self) -> list[tuple[T, T]]:
        """Answers to the same task, the plain way's first."""
        return [(answer, self.ours[task]) for task, answer in self.plain.items()]


@dataclass(frozen=True)
class Results:
    """All that was measured; `rotated_s` are the seconds that measured choices over every task took."""

    generation: Race[Answer]
    distributions: Race[list[float]]
    rotated_s: float
    against_base: list[Figure]

    @property
    def against_plain(self) -> list[Figure]:
        """Throughputs; the plain way's are those of its sample."""
        tokens = sum(answer.tokens for answer in self.generation.plain.values()) / self.generation.plain_s
        our_tokens = sum(answer.tokens for answer in self.generation.ours.values()) / self.generation.ours_s
        choices = len(self.distributions.plain) / self.distributions.plain_s
        our_choices = len(self.distributions.ours) / self.distributions.ours_s
        rotated = len(self.distributions.ours) / self.rotated_s
        return [
            Figure("generation, tokens/s", tokens, our_tokens, our_tokens / tokens, GENERATION_TARGET),
            Figure("option distributions/s", choices, our_choices, our_choices / choices, DISTRIBUTION_TARGET),
            Figure("  over all option orders", choices, rotated, rotated / choices),
        ]

    @property
    def met(self) -> bool:
        """Whether all targets were met."""
        return all(figure.met for figure in [*self.against_plain, *self.against_base])


def measure(model: str, dtype: str | None, workload: Workload, folder: Path, progress: Progress) -> Results:
    """Measure everything on one model.

    Args:
        model: Embedded name, folder or hub id.
        dtype: Such as "float32"; the engine's own choice when None.
        workload: How much is asked.
        folder: An empty folder for the adapters.
        progress: Shows how far it is.
    """
    path = resolve_model(model).path()
    stacked = load_backbone(path, dtype=dtype)
    adapters = write_adapters(folder, stacked.model, RANK)
    memory = stack_adapters(stacked, adapters)
    batch = mixed_batch(stacked, workload.questions, ADAPTERS, workload.rows)
    advance = stage(progress, "adapters against the base alone", workload.rounds)
    base = load_backbone(path, dtype=dtype)
    speed = decoding_speed(base, stacked, batch, workload.steps, workload.rounds, advance)
    plain = PlainWay(path, adapters, stacked.device, stacked.model.dtype)
    del base, stacked  # whoever comes next has the memory to himself
    ours = EngineWay(model, adapters, dtype)
    try:
        return Results(
            _race_generations(plain, ours, workload, progress),
            _race_distributions(
                plain, ours, one_token_spellings(AutoTokenizer.from_pretrained(path)), workload, progress
            ),
            _time_rotations(ours, workload.tasks, progress),
            [speed, *memory],
        )
    finally:
        ours.close()


def report(results: Results, workload: Workload, console: Console) -> None:
    """Print the tables, and what one has to know to read them."""
    console.print(comparison("Against the plain way", "plain way", "engine", results.against_plain))
    asked, sample = len(workload.tasks), workload.sample
    seconds, whole = results.generation.ours_s, results.generation.plain_s * asked / sample
    texts = [plain.text == ours.text for plain, ours in results.generation.pairs]
    gaps = [abs(p - o) for plain, ours in results.distributions.pairs for p, o in zip(plain, ours, strict=True)]
    console.print(
        f"The engine generated {asked} answers ({len(ADAPTERS)} adapters, {len(workload.questions)} questions, "
        f"{workload.tokens} tokens at most) in {seconds:.1f} s. The plain way was measured on {sample} of them, "
        f"equally many for each adapter, half before and half after the engine; at that throughput all of them take "
        f"{whole:.0f} s. Both ways gave the same text in {sum(texts)} of these {sample}, and probabilities that differ "
        f"by {max(gaps):.2g} at most.\n"
    )
    console.print(comparison("Six adapters against the base alone", "base", "with six", results.against_base))


def compare_with_plain(model: str, dtype: str | None, workload: Workload, folder: Path, console: Console) -> Results:
    """Measure, showing progress, and print the tables."""
    with progress_bars(console) as progress:
        results = measure(model, dtype, workload, folder, progress)
    report(results, workload, console)
    return results


def _race_generations(plain: PlainWay, ours: EngineWay, workload: Workload, progress: Progress) -> Race[Answer]:
    tokens = workload.tokens
    ours.generate(workload.sampled(), 1, lambda: None)  # loads the model and every adapter
    plain.generate(workload.sampled()[0], 2)
    return _race(
        "generation",
        workload,
        lambda task: plain.generate(task, tokens),
        lambda tasks, advance: ours.generate(tasks, tokens, advance),
        progress,
    )


def _race_distributions(
    plain: PlainWay, ours: EngineWay, letters: Sequence[Sequence[str]], workload: Workload, progress: Progress
) -> Race[list[float]]:
    return _race(
        "option distributions",
        workload,
        lambda task: plain.distribution(task, letters),
        lambda tasks, advance: ours.distributions(tasks, letters, advance),
        progress,
    )


def _race(
    name: str,
    workload: Workload,
    plain: Callable[[Task], T],
    ours: Callable[[Sequence[Task], Callable[[], None]], list[T]],
    progress: Progress,
) -> Race[T]:
    """Half of the plain sample, the engine, the other half: a machine that slows down meanwhile does so for both."""
    tasks, sample = workload.tasks, workload.sampled()
    half = len(sample) // 2
    advance_plain = stage(progress, f"{name}, plain way", len(sample))
    advance_ours = stage(progress, f"{name}, engine", len(tasks))

    def ask_plain(part: Sequence[Task]) -> list[T]:
        answers = []
        for task in part:
            answers.append(plain(task))
            advance_plain()
        return answers

    first, first_s = _timed(lambda: ask_plain(sample[:half]))
    answers, ours_s = _timed(lambda: ours(tasks, advance_ours))
    last, last_s = _timed(lambda: ask_plain(sample[half:]))
    said = dict(zip(sample, [*first, *last], strict=True))
    return Race(dict(zip(tasks, answers, strict=True)), said, ours_s, first_s + last_s)


def _time_rotations(ours: EngineWay, tasks: Sequence[Task], progress: Progress) -> float:
    advance = stage(progress, "measured choices, engine", len(tasks))
    return _timed(lambda: ours.rotated_choices(tasks, advance))[1]


def _timed(work: Callable[[], T]) -> tuple[T, float]:
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start
