"""Checkpoints: the last whole one, and what its history says."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from safetensors.numpy import save_file

from modplural.optimizers.training.checkpoints import Checkpoint, epochs_since_best, last_checkpoint, perplexity

ARCHIVES = ("optimizer.pt", "scheduler.pt", "rng_state.pth")
FILES = ("adapter_config.json", "adapter_model.safetensors", *ARCHIVES, "trainer_state.json")


def written(folder: Path, step: int, *history: dict[str, Any], best: int | None = None) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    save_file({"a": np.ones((2, 64))}, checkpoint / "adapter_model.safetensors")
    for name in ARCHIVES:
        with ZipFile(checkpoint / name, "w") as archive:
            archive.writestr("data", bytes(300))
    (checkpoint / "adapter_config.json").write_text('{"r": 2}')
    state = {"log_history": history, "best_global_step": best}
    (checkpoint / "trainer_state.json").write_text(json.dumps(state))
    return checkpoint


def shorten(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-3])


def zero(file: Path) -> None:
    file.write_bytes(bytes(file.stat().st_size))


def empty(file: Path) -> None:
    file.write_bytes(b"")


def test_the_newest_whole_checkpoint_is_found_and_others_removed(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    written(tmp_path, 9, {"eval_loss": 2.0})
    newest = written(tmp_path, 10, {"eval_loss": 2.0}, {"loss": 1.0}, {"eval_loss": 0.0})
    (tmp_path / "checkpoint-15").mkdir()
    for step, torn in ((20, ""), (25, "{"), (30, "[]")):
        (written(tmp_path, step) / "trainer_state.json").write_text(torn)
    assert last_checkpoint(tmp_path) == Checkpoint(newest, 2, (math.exp(2.0), 1.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]


@pytest.mark.parametrize("tear", [shorten, zero, empty, Path.unlink])
@pytest.mark.parametrize("name", FILES)
def test_a_checkpoint_with_any_file_torn_is_removed(name: str, tear: Callable[[Path], None], tmp_path: Path) -> None:
    before = written(tmp_path, 9, {"eval_loss": 2.0})
    torn = written(tmp_path, 10, {"eval_loss": 2.0}, {"eval_loss": 0.0})
    tear(torn / name)
    assert last_checkpoint(tmp_path) == Checkpoint(before, 1, (math.exp(2.0),))
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-9"]


def test_the_best_epoch_is_found_where_the_folder_was_moved_to(tmp_path: Path) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    best = written(there, 10, {"eval_loss": 0.0}, best=10)
    newest = written(there, 15, {"eval_loss": 0.0}, {"eval_loss": 1.0}, best=10)
    state = json.loads((newest / "trainer_state.json").read_text())
    (newest / "trainer_state.json").write_text(json.dumps({**state, "best_model_checkpoint": str(best)}))
    there.rename(here)
    found = last_checkpoint(here)
    assert found == Checkpoint(here / "checkpoint-15", 2, (1.0, math.exp(1.0)))
    moved = json.loads((found.folder / "trainer_state.json").read_text())
    assert moved["best_model_checkpoint"] == str(here / "checkpoint-10")
    assert {key: moved[key] for key in ("log_history", "best_global_step")} == {
        key: state[key] for key in ("log_history", "best_global_step")
    }
    assert {path.name for path in found.folder.iterdir()} == set(FILES)


def test_without_the_weights_of_the_best_epoch_no_later_checkpoint_is_whole(tmp_path: Path) -> None:
    best = written(tmp_path, 10, {"eval_loss": 0.0}, best=10)
    newest = written(tmp_path, 15, {"eval_loss": 0.0}, {"eval_loss": 1.0}, best=10)
    assert last_checkpoint(tmp_path) == Checkpoint(newest, 2, (1.0, math.exp(1.0)))
    shorten(best / "adapter_model.safetensors")
    assert last_checkpoint(tmp_path) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("seen", "epochs"),
    [((), 0), ((5.0,), 0), ((5.0, 4.0), 0), ((4.0, 5.0), 1), ((4.0, 4.0, 4.0), 2), ((5.0, 3.0, 4.0, 3.5), 2)],
)
def test_an_epoch_is_better_only_when_it_is_lower(seen: tuple[float, ...], epochs: int) -> None:
    assert epochs_since_best(seen) == epochs


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e4])
def test_a_loss_that_no_number_holds_is_infinitely_bad(loss: float) -> None:
    assert perplexity({"eval_loss": loss}) == math.inf
