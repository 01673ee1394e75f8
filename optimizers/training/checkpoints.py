"""Checkpoints of a training that was stopped: the last whole one, and what had been seen by then."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from safetensors import SafetensorError, safe_open
from transformers import TrainerState

from ...programs.engines.weights import ADAPTER

_STATE = "trainer_state.json"
_ARCHIVES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
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
    """The newest whole checkpoint, and none that is newer: what a kill or a power cut left half written is removed.

    One is whole where its files can be read, and those of the best epoch so far, whose weights a training ends with.
    """
    steps = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in steps:
        state = _state(path)
        if state is not None and all(map(_has_whole_files, {path, _best(path, state)})):
            _move_best(path, state)
            seen = perplexities(state.log_history)
            return Checkpoint(path, len(seen), seen)
        shutil.rmtree(path)
    return None


def _best(checkpoint: Path, state: TrainerState) -> Path:
    """The checkpoint of the best epoch so far, beside this one or the same."""
    step = state.best_global_step
    return checkpoint if step is None else checkpoint.with_name(f"checkpoint-{step}")


def _move_best(checkpoint: Path, state: TrainerState) -> None:
    """Have the state name the best epoch's checkpoint where it is now.

    It names it by its absolute path; where that is gone, the trainer would end with the last epoch's weights.
    """
    best = str(_best(checkpoint, state).absolute())
    if state.best_global_step is None or state.best_model_checkpoint == best:
        return
    state.best_model_checkpoint = best
    new = checkpoint / f"{_STATE}.new"
    state.save_to_json(str(new))
    new.replace(checkpoint / _STATE)  # whole or not at all


def _has_whole_files(checkpoint: Path) -> bool:
    """Whether the files of a checkpoint, apart from its state, have the length and form that they should have.

    The state is written last, but files reach a disk in any order.
    """
    try:
        json.loads((checkpoint / ADAPTER.config).read_bytes())
        for name in ADAPTER.weights:
            with safe_open(checkpoint / name, framework="numpy"):
                pass  # its header is read, and the length of the file compared with it
        for name in _ARCHIVES:
            with ZipFile(checkpoint / name):
                pass  # its directory is read, which stands at its end
    except (FileNotFoundError, ValueError, SafetensorError, BadZipFile):
        return False
    return True


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
