"""The trainer's own parts: a schedule in which every step learns, and one device whatever there are."""

from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.training import TrainingSettings
from modplural.optimizers.training.trainer import _arguments, rate_share


@given(st.integers(1, 2000))
def test_every_step_has_a_share_of_the_rate_and_one_has_all_of_it(steps: int) -> None:
    shares = [rate_share(step, steps) for step in range(steps)]
    assert all(0 < share <= 1 for share in shares)
    top = shares.index(1)
    assert top == steps // 10
    assert shares[: top + 1] == sorted(shares[: top + 1])
    assert shares[top:] == sorted(shares[top:], reverse=True)


def test_it_rises_and_falls_in_a_line() -> None:
    assert [rate_share(step, 20) for step in (0, 1, 2, 11, 19)] == pytest.approx([1 / 3, 2 / 3, 1, 1 / 2, 1 / 18])


@pytest.mark.filterwarnings("ignore")
def test_several_devices_do_not_share_a_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    arguments = _arguments(TrainingSettings(), 100, tmp_path, on_cpu=False)
    assert (arguments.n_gpu, arguments.train_batch_size) == (1, 8)
