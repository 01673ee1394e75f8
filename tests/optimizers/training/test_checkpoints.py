"""Checkpoints: the last whole one, and what its history says."""

import json
import math
from pathlib import Path
from typing import Any

import pytest

from modplural.optimizers.training.checkpoints import Checkpoint, epochs_since_best, last_checkpoint, perplexity


def written(folder: Path, step: int, *history: dict[str, Any]) -> Path:
    checkpoint = folder / f"checkpoint-{step}"
    checkpoint.mkdir(parents=True)
    (checkpoint / "trainer_state.json").write_text(json.dumps({"log_history": history}))
    return checkpoint


def test_the_newest_whole_checkpoint_is_found_and_others_removed(tmp_path: Path) -> None:
    assert last_checkpoint(tmp_path / "none") is None
    written(tmp_path, 9, {"eval_loss": 2.0})
    newest = written(tmp_path, 10, {"eval_loss": 2.0}, {"loss": 1.0}, {"eval_loss": 0.0})
    (tmp_path / "checkpoint-15").mkdir()
    for step, torn in ((20, ""), (25, "{"), (30, "[]")):
        (written(tmp_path, step) / "trainer_state.json").write_text(torn)
    assert last_checkpoint(tmp_path) == Checkpoint(newest, 2, (math.exp(2.0), 1.0))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-9"]


@pytest.mark.parametrize(
    ("seen", "epochs"),
    [((), 0), ((5.0,), 0), ((5.0, 4.0), 0), ((4.0, 5.0), 1), ((4.0, 4.0, 4.0), 2), ((5.0, 3.0, 4.0, 3.5), 2)],
)
def test_an_epoch_is_better_only_when_it_is_lower(seen: tuple[float, ...], epochs: int) -> None:
    assert epochs_since_best(seen) == epochs


@pytest.mark.parametrize("loss", [math.nan, math.inf, 1e4])
def test_a_loss_that_no_number_holds_is_infinitely_bad(loss: float) -> None:
    assert perplexity({"eval_loss": loss}) == math.inf
