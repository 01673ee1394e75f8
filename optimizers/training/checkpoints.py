"""Checkpoints of a training that was stopped: the last whole one, and what had been seen by then."""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from transformers import TrainerState

_STATE = "trainer_state.json"
_LARGEST_LOSS = 700.0


@dataclass(frozen=True)
class Checkpoint:
    """What a training goes on from.

    Attributes:
        folder: Where it is.
        epochs: Epochs gone through.
        perplexities: Of the validation comments, after each of them.
    """

    folder: Path
    epochs: int
    perplexities: tuple[float, ...]


def last_checkpoint(folder: Path) -> Checkpoint | None:
    """The newest whole checkpoint; a kill while one was written leaves one without its state, which is removed."""
    steps = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in steps:
        state = _state(path)
        if state is not None:
            seen = perplexities(state.log_history)
            return Checkpoint(path, len(seen), seen)
        shutil.rmtree(path)
    return None


def _state(checkpoint: Path) -> TrainerState | None:
    """What is written last of a checkpoint; None where it is not there, or not all of it."""
    try:
        return TrainerState.load_from_json(str(checkpoint / _STATE))
    except (FileNotFoundError, ValueError, TypeError):
        return None


def perplexities(history: Iterable[Mapping[str, Any]]) -> tuple[float, ...]:
    """Of the validation comments, as a trainer's history has them: one for each finished epoch."""
    return tuple(perplexity(entry) for entry in history if "eval_loss" in entry)


def perplexity(metrics: Mapping[str, float]) -> float:
    """Of one evaluation; infinite where a training went so wrong that it is no number."""
    loss = metrics["eval_loss"]
    return math.exp(loss) if loss < _LARGEST_LOSS else math.inf


def epochs_since_best(seen: Sequence[float]) -> int:
    """Epochs after the first one of the lowest perplexity; 0 where there is none yet."""
    return len(seen) - 1 - seen.index(min(seen)) if seen else 0
