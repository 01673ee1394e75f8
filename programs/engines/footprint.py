"""Whether the weights of a model or adapter are here, and how many they are, read off their files' headers.

Nothing is loaded, downloaded or converted. This file knows files; it must not know what runs them.
"""

import json
import math
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open

from .embedded import EMBEDDED
from .hub import cached_snapshot
from .lora_files import adapter_folder
from .models import resolve_model
from .weights import ADAPTER, MODEL, Layout, WeightsError

_KNOWN = {"smollm2-135m-instruct": 134_515_008, "mistralai/Mistral-7B-Instruct-v0.1": 7_241_732_096}
"""Parameters of the models that presets name, for when their files are not here to be read."""


class Footprint(NamedTuple):
    """What there is to know of weights before anybody loads them.

    Attributes:
        name: As it was asked for.
        parameters: How many numbers they are; None where that is unknown until they are fetched.
        missing: Why they cannot be had; None where they can.
        remote: Whether the hub has them, and they are yet to be downloaded.
    """

    name: str
    parameters: int | None
    missing: str | None = None
    remote: bool = False


def model_footprint(model: str) -> Footprint:
    """Of a base model, named as for `resolve_model`."""
    known = _KNOWN.get(model)
    folder = Path(model).expanduser()
    try:
        resolve_model(model)
        if model in EMBEDDED:
            return Footprint(model, known)
        here = folder if folder.is_dir() else cached_snapshot(model, MODEL)
        return Footprint(model, count_parameters(here, MODEL) if here else known, remote=here is None)
    except WeightsError as error:
        return Footprint(model, known, str(error))


def adapter_footprint(adapter: str) -> Footprint:
    """Of a LoRA adapter, named as for `resolve_adapter`."""
    try:
        here = adapter_folder(adapter)
        return Footprint(adapter, count_parameters(here, ADAPTER) if here else None, remote=here is None)
    except WeightsError as error:
        return Footprint(adapter, None, str(error))


def count_parameters(folder: Path, layout: Layout) -> int:
    """The numbers in the safetensors files of a folder, by the shapes in their headers.

    Raises:
        WeightsError: A file is damaged.
    """
    return sum(map(math.prod, weight_shapes(folder, layout).values()))


def weight_shapes(folder: Path, layout: Layout) -> dict[str, tuple[int, ...]]:
    """The shape of every matrix in the safetensors files of a folder, by name, read off their headers.

    Raises:
        WeightsError: A file is damaged.
    """
    return {name: shape for file in _weight_files(folder, layout) for name, shape in _shapes(folder / file).items()}


def _weight_files(folder: Path, layout: Layout) -> set[str]:
    found = next(name for name in layout.weights if (folder / name).is_file())
    if found.endswith(".json"):
        return set(json.loads((folder / found).read_text(encoding="utf-8"))["weight_map"].values())
    return {found}


def _shapes(file: Path) -> dict[str, tuple[int, ...]]:
    try:
        with safe_open(file, framework="numpy") as tensors:
            return {name: tuple(tensors.get_slice(name).get_shape()) for name in tensors.keys()}
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{file} is damaged ({error}); copy or download it again") from error
