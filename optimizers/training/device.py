"""Which devices there are to train on, known before anything is loaded or written."""

from __future__ import annotations

import torch

from .errors import DeviceError


def check_device(name: str | None) -> None:
    """See that a device is there.

    Args:
        name: Such as "cuda"; None leaves the choice to the model's loader.

    Raises:
        DeviceError: It is no name of a device, or this machine has none of that name.
    """
    if name is None or name in (there := _devices()):
        return
    raise DeviceError(
        f"no device {name!r}: devices are named like cpu, cuda, cuda:1 or mps, and torch {torch.__version__} finds "
        f"{', '.join(there)} on this machine; name one of these, or none to have it chosen"
    )


def _devices() -> list[str]:
    accelerator = torch.accelerator.current_accelerator(check_available=True)
    if accelerator is None:
        return ["cpu"]
    numbered = (f"{accelerator.type}:{number}" for number in range(torch.accelerator.device_count()))
    return ["cpu", accelerator.type, *numbered]
