"""A training stays on its model's device, where the trainer would choose another one. The devices are played."""

from pathlib import Path

import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from modplural.optimizers.training.settings import TrainingSettings
from modplural.optimizers.training.trainer import _arguments, _stay_on


@pytest.mark.parametrize(("name", "chosen"), [("cuda:1", "cuda:1"), ("cuda", "cpu"), ("cpu", "cpu")])
def test_a_training_stays_on_the_device_of_its_model(
    name: str, chosen: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    current: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    arguments = _arguments(TrainingSettings(), 10, tmp_path, on_cpu=True)  # as on a machine without CUDA
    try:
        _stay_on(torch.device(name), arguments)
        assert arguments.device == torch.device(chosen)
        assert Accelerator().device == torch.device(chosen)
        assert current == ([torch.device(name)] if chosen == name != "cpu" else [])
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)  # or the next training of this process would be there
