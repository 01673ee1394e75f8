"""What makes a LoRA adapter one that shares a batch with others: its settings, and the names of its matrices.

This file knows PEFT's configuration and names; it must not know torch, so that light commands can ask it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

_PREFIX = "base_model.model."
_NEUTRAL = frozenset(
    "task_type auto_mapping peft_version base_model_name_or_path revision inference_mode target_modules "
    "exclude_modules lora_dropout layers_to_transform layers_pattern megatron_config megatron_core loftq_config "
    "eva_config corda_config lora_ga_config runtime_config qalora_group_size ensure_weight_tying".split()
)
"""LoRA settings that only matter in training; any other one that is set, and not honoured, is refused by name."""
_UNSET: tuple[Any, ...] = (None, False, "none", [], {})


class AdapterError(ValueError):
    """An adapter that cannot be used with this base model; the model is untouched."""


class LoraConfig(BaseModel):
    """What counts of an `adapter_config.json`; `init_lora_weights` lists the starts that leave the base as it is."""

    model_config = ConfigDict(extra="allow")

    peft_type: Literal["LORA"]
    r: PositiveInt
    lora_alpha: float
    use_rslora: bool = False
    rank_pattern: dict[re.Pattern[str], PositiveInt] | None = None
    alpha_pattern: dict[re.Pattern[str], float] | None = None
    init_lora_weights: bool | Literal["gaussian", "eva", "orthogonal", "mica"] | None = True

    def scale(self, module: str, rank: int) -> float:
        """What `B A x` of a module is multiplied by."""
        alpha = _by_pattern(self.alpha_pattern, module, self.lora_alpha)
        return alpha / (math.sqrt(rank) if self.use_rslora else rank)

    def rank(self, module: str) -> int:
        """The rank that a module's matrices should have."""
        return int(_by_pattern(self.rank_pattern, module, self.r))


def read_config(folder: Path) -> LoraConfig:
    """Read the configuration of an adapter that its engine can run beside others.

    Args:
        folder: Holds `adapter_config.json`.

    Raises:
        AdapterError: It cannot be read, or the adapter is not plain LoRA; the message says why.
    """
    try:
        config = LoraConfig.model_validate_json((folder / "adapter_config.json").read_bytes())
    except OSError as error:
        raise AdapterError(f"adapter {folder} has no readable adapter_config.json: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise AdapterError(
            f"adapter {folder} is no plain LoRA adapter: in adapter_config.json, {where}: {first['msg']}"
        ) from error
    for name, value in (config.model_extra or {}).items():
        if name not in _NEUTRAL and value not in _UNSET:
            raise AdapterError(
                f"adapter {folder} sets {name}={value!r}, which cannot share a batch with other adapters; "
                "train it as plain LoRA, or merge it into a model of its own"
            )
    return config


def split_key(key: str, folder: Path) -> tuple[str, str]:
    """The module and the side, lora_A or lora_B, of a matrix by its name in an adapter's file.

    Raises:
        AdapterError: It is no LoRA matrix of a linear layer.
    """
    for side in ("lora_A", "lora_B"):
        ending = f".{side}.weight"
        if key.startswith(_PREFIX) and key.endswith(ending):
            return key[len(_PREFIX) : -len(ending)], side
    raise AdapterError(f"adapter {folder} holds {key!r}, which is not a LoRA matrix of a linear layer")


def _by_pattern(values: Mapping[re.Pattern[str], float] | None, module: str, default: float) -> float:
    """The value of the first pattern that matches the end of a module's name, as PEFT looks it up."""
    for pattern, value in (values or {}).items():
        if re.match(rf"(.*\.)?({pattern.pattern})$", module):
            return value
    return default
