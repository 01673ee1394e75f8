"""Whether a LoRA adapter belongs to a base model, told by the shapes of its matrices, and by names where these fail.

One base goes by many names, and many bases by one, such as `merged`; shapes do not lie where both files are here.
An adapter is called another base's only where that is certain. Nothing is loaded.
"""

import json
import re
from pathlib import Path

from .base_names import same_base
from .embedded import EMBEDDED
from .footprint import weight_shapes
from .hub import cached_snapshot, fetch_config, is_hub_id
from .lora_config import read_config, split_key
from .lora_files import adapter_folder
from .models import resolve_model
from .weights import ADAPTER, MODEL, WeightsError

_MATRIX = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])\.weight")


def named_base(adapter: str) -> str | None:
    """The base model that an adapter's configuration names; None where it names none.

    Raises:
        WeightsError: There is no such adapter, or its configuration cannot be read.
    """
    folder = adapter_folder(adapter)
    file = fetch_config(adapter, ADAPTER) if folder is None else folder / ADAPTER.config
    try:
        named = json.loads(file.read_bytes())["base_model_name_or_path"]
    except (KeyError, TypeError):
        return None
    except (OSError, ValueError) as error:
        raise WeightsError(f"{adapter!r} is no LoRA adapter: its {ADAPTER.config} cannot be read ({error})") from error
    return str(named) if named else None


def check_plain(adapter: str) -> None:
    """See that an adapter is one that the engine runs, as far as that can be told without a download of weights.

    Raises:
        WeightsError: There is no such adapter.
        AdapterError: It is not plain LoRA; the message says why.
    """
    folder = adapter_folder(adapter)
    if folder is None:
        read_config(fetch_config(adapter, ADAPTER).parent)
        return
    read_config(folder)
    for name in weight_shapes(folder, ADAPTER):
        split_key(name, folder)


def belongs(adapter: str, model: str, *, named: str | None) -> bool:
    """Whether an adapter may have been trained on a model: False only where it certainly was not.

    Args:
        adapter: As for `resolve_adapter`.
        model: As for `resolve_model`.
        named: The base that the adapter names, as `named_base` says, or None to go by the shapes of matrices alone.

    Raises:
        WeightsError: There is no such adapter, or a file of weights is damaged.
    """
    fitting = fits(adapter, model)
    if fitting is None:
        return named is None or same_base(named, model) is not False
    return fitting


def fits(adapter: str, model: str) -> bool | None:
    """Whether an adapter's matrices have the shapes that a model's layers need; None where these are not here.

    Args:
        adapter: As for `resolve_adapter`.
        model: As for `resolve_model`.

    Raises:
        WeightsError: There is no such adapter, or a file of weights is damaged.
    """
    adapted, base = adapter_folder(adapter), _model_folder(model)
    if adapted is None or base is None:
        return None
    weights, shapes = weight_shapes(base, MODEL), weight_shapes(adapted, ADAPTER)
    matrices = [(found, shape) for name, shape in shapes.items() if (found := _MATRIX.fullmatch(name))]
    pairs = [(found["side"], shape, weights.get(f"{found['layer']}.weight")) for found, shape in matrices]
    if not any(weight for _, _, weight in pairs):
        return None  # the layers go by other names
    return all(weight is not None and _meet(side, shape, weight) for side, shape, weight in pairs)


def _meet(side: str, shape: tuple[int, ...], weight: tuple[int, ...]) -> bool:
    """Whether A of shape (rank, inputs) or B of shape (outputs, rank) suits a weight of shape (outputs, inputs)."""
    return shape[1] == weight[1] if side == "A" else shape[0] == weight[0]


def _model_folder(model: str) -> Path | None:
    """Where the weights of a model are, if they are here without a download."""
    try:
        if (known := EMBEDDED.get(model)) is not None and known.gguf() is not None:
            return resolve_model(model).path()
        if Path(model).expanduser().is_dir():
            return resolve_model(model).path()
    except WeightsError:
        return None
    hub_id = known.hub_id if known else model
    return cached_snapshot(hub_id, MODEL) if is_hub_id(hub_id) else None
