"""Where a model runs and in what numbers: names of devices and dtypes, checked before anything is loaded.

This file knows torch's devices; it must not know models.
"""

import torch

_DTYPES = {"bfloat16": torch.bfloat16, "float16": torch.float16, "float32": torch.float32}
_FIRST_WITH_BFLOAT16 = 8
"""Major compute capability of the first CUDA devices that are fast in bfloat16 (Ampere)."""


def check_names(device: str | None, dtype: str | None) -> None:
    """Raise ValueError unless these name a device and a dtype, without touching any device."""
    if dtype is not None and dtype not in _DTYPES:
        raise ValueError(f"the in-process engine does not compute in dtype {dtype!r}, only in {', '.join(_DTYPES)}")
    if device is not None:
        _parsed(device)


def find_device(name: str | None) -> torch.device:
    """The device of a name, or where a model runs when nobody says where.

    CUDA is not started up for it, as far as its driver tells how many devices there are.

    Raises:
        ValueError: It is no name of a device, or this machine has none of that name; the message names those that it
            has.
    """
    if name is None:
        return default_device()
    device, here = _parsed(name), _devices_here()
    if device.type != "cpu" and str(device) not in here:
        raise ValueError(
            f"there is no device {name!r} here: torch {torch.__version__} finds {', '.join(here)}; name one of these,"
            " or leave it out to have one chosen"
        )
    return device


def find_dtype(name: str | None, device: torch.device) -> torch.dtype:
    """The dtype of a name, or the one that is fast on the device."""
    return fast_dtype(device) if name is None else _DTYPES[name]


def default_device() -> torch.device:
    """Where a model runs when nobody says where."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def fast_dtype(device: torch.device) -> torch.dtype:
    """What a model on this device is loaded in when nobody says in what."""
    if device.type == "cuda":  # this very one: a machine may have several generations of them
        major, _ = torch.cuda.get_device_capability(device)
        return torch.bfloat16 if major >= _FIRST_WITH_BFLOAT16 else torch.float16
    native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return torch.bfloat16 if device.type == "cpu" and native else torch.float32


def same_device(name: str | None) -> str:
    """One name for a device however it is named, or chosen; devices are counted without starting CUDA up."""
    device = _parsed(name or ("cuda" if torch.cuda.device_count() else "cpu"))
    return f"{device.type}:{device.index or 0}"


def _parsed(name: str) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise ValueError(
            f"{name!r} names no device; name one as 'cpu', 'cuda' or 'cuda:1'. This machine has"
            f" {', '.join(_devices_here())}"
        ) from error


def _devices_here() -> list[str]:
    """The names of all devices that torch finds."""
    accelerator = torch.accelerator.current_accelerator()
    count = torch.accelerator.device_count() if accelerator else 0
    if accelerator is None or not count:
        return ["cpu"]
    return ["cpu", accelerator.type, *(f"{accelerator.type}:{number}" for number in range(count))]
