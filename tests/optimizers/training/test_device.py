"""Devices: those that are there, and the message on others."""

import pytest
import torch

from modplural.optimizers.training import DeviceError
from modplural.optimizers.training.device import check_device


def machine(monkeypatch: pytest.MonkeyPatch, accelerator: str | None, count: int = 0) -> None:
    device = None if accelerator is None else torch.device(accelerator)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda check_available: device)
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: count)


def test_what_is_there_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, "cuda", 2)
    for name in (None, "cpu", "cuda", "cuda:0", "cuda:1"):
        check_device(name)
    with pytest.raises(DeviceError, match=r"no device 'cuda:2': .* finds cpu, cuda, cuda:0, cuda:1 on this machine"):
        check_device("cuda:2")


@pytest.mark.parametrize("name", ["cuda", "cuda:0", "mps", "foo", "", "CPU", "cuda:x"])
def test_what_is_not_there_is_named_with_what_is(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    machine(monkeypatch, None)
    said = rf"no device '{name}': devices are named like cpu, cuda, cuda:1 or mps, and torch \S+ finds cpu on this"
    with pytest.raises(DeviceError, match=said):
        check_device(name)
