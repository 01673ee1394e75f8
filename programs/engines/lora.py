"""Any number of LoRA adapters on one model, each row of a batch through its own adapter.

All adapters' A matrices stand together and so do all B matrices, with a mask per row in between: every
row is served by two matrix products however many adapters share the batch, and one copy of the base weights serves all.
This file knows modules and adapter files; it must not know batches of requests.

The update is PEFT's (Hu et al., 2021): ``W x + scale * B A x`` with ``scale = alpha / r`` (``alpha / sqrt(r)`` for
rank-stabilized adapters).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import nn

_PREFIX = "base_model.model."
_IGNORED = frozenset(
    "task_type peft_type auto_mapping peft_version base_model_name_or_path revision inference_mode r target_modules "
    "exclude_modules lora_alpha lora_dropout use_rslora init_lora_weights layers_to_transform layers_pattern rank_pattern "
    "alpha_pattern megatron_config megatron_core loftq_config eva_config corda_config runtime_config qalora_group_size "
    "ensure_weight_tying lora_ga_config".split()
)
"""LoRA settings that are either honoured or only matter in training; any other one that is set is refused by name."""


class AdapterError(ValueError):
    """An adapter that cannot be used with this base model; the model is untouched."""


@dataclasses.dataclass(frozen=True)
class LoraWeights:
    """One adapter's matrices by module name: A of shape (rank, inputs), B of shape (outputs, rank), scale included."""

    matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor]]


def read_lora(folder: Path, model: nn.Module) -> LoraWeights:
    """Read a PEFT LoRA adapter and check that it fits the model, without touching the model.

    Args:
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.
        model: The base model, with or without adapters stacked on it.

    Raises:
        AdapterError: The adapter is not plain LoRA, is damaged, or does not fit; the message says why.
    """
    config = _read_config(folder)
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in _read_tensors(folder / "adapter_model.safetensors"):
        module, side = _split_key(key, folder)
        halves.setdefault(module, {})[side] = tensor
    if not halves:
        raise AdapterError(f"adapter {folder} holds no LoRA matrices")
    targets = {name: _base_linear(module) for name, module in model.named_modules() if isinstance(module, nn.Module)}
    return LoraWeights({n: _checked(n, sides, targets.get(n), config, folder) for n, sides in halves.items()})


class AdapterStack:
    """The adapters stacked on one model. Not thread-safe: one thread owns the model."""

    def __init__(self, model: nn.Module) -> None:
        """Prepare a stack over `model`; nothing changes until an adapter is added."""
        self._model = model
        self._indices: dict[str, int] = {}
        self._routing = _Routing()

    def __contains__(self, key: str) -> bool:
        """Whether an adapter was added under this key."""
        return key in self._indices

    def add(self, key: str, weights: LoraWeights) -> None:
        """Stack one more adapter under `key`."""
        index = len(self._indices)
        for name, (down, up) in weights.matrices.items():
            module = self._model.get_submodule(name)
            if not isinstance(module, StackedLinear):
                assert isinstance(module, nn.Linear)
                module = StackedLinear(module, self._routing)
                parent, _, leaf = name.rpartition(".")
                setattr(self._model.get_submodule(parent), leaf, module)
            module.stack(index, down, up)
        self._indices[key] = index

    def route(self, keys: Sequence[str | None]) -> None:
        """Send each row of the next forward passes through its adapter; None is the base model."""
        rows = [-1 if key is None else self._indices[key] for key in keys]
        self._routing.set(rows)


class StackedLinear(nn.Module):
    """A linear layer with every adapter's low-rank update beside it, masked per row.

    The A matrices are stored below the base weight, in one matrix with it, so that one product computes both.
    """

    def __init__(self, base: nn.Linear, routing: _Routing) -> None:
        """Wrap `base`, which stays the same object; its weight becomes a view of the common matrix."""
        super().__init__()
        self.base = base
        self._routing = routing
        self.owners: tuple[int, ...] = ()
        self.register_buffer("joint", base.weight.data, persistent=False)
        self.register_buffer("up", base.weight.new_empty(0, base.out_features), persistent=False)
        self.joint: torch.Tensor
        self.up: torch.Tensor

    @property
    def weight(self) -> torch.Tensor:
        """The base layer's weight, which some models look at."""
        return self.base.weight

    def stack(self, index: int, down: torch.Tensor, up: torch.Tensor) -> None:
        """Add adapter `index`: down of shape (rank, inputs), up of shape (outputs, rank)."""
        self.owners += (index,) * down.shape[0]
        self.joint = torch.cat([self.joint, down.to(self.joint)])
        self.up = torch.cat([self.up, up.T.to(self.up)])
        self.base.weight.data = self.joint[: self.base.out_features]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (rows, tokens, inputs) to (rows, tokens, outputs)."""
        mask = self._routing.mask(self.owners, inputs)
        if mask is None:
            outputs: torch.Tensor = self.base(inputs)
            return outputs
        both = nn.functional.linear(inputs, self.joint)
        outputs, hidden = both.split_with_sizes([self.base.out_features, len(self.owners)], dim=-1)
        outputs.flatten(0, -2).addmm_((hidden * mask).flatten(0, -2), self.up)
        return outputs if self.base.bias is None else outputs.add_(self.base.bias)


class _Routing:
    """Which adapter each row of the current batch goes through, and the masks that follow from it."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._masks: dict[tuple[int, ...], torch.Tensor | None] = {}

    def set(self, rows: list[int]) -> None:
        if rows != self._rows:
            self._rows = rows
            self._masks = {}

    def mask(self, owners: tuple[int, ...], like: torch.Tensor) -> torch.Tensor | None:
        """Shape (rows, 1, columns) of zeros and ones; None where no row needs these columns."""
        if owners not in self._masks:
            wanted = not set(owners).isdisjoint(self._rows)
            self._masks[owners] = self._build(owners, like) if wanted else None
        return self._masks[owners]

    def _build(self, owners: tuple[int, ...], like: torch.Tensor) -> torch.Tensor:
        rows = torch.tensor(self._rows, device=like.device)[:, None]
        columns = torch.tensor(owners, device=like.device)[None, :]
        return (rows == columns).to(like.dtype)[:, None, :]


def _read_config(folder: Path) -> Any:
    from peft import LoraConfig

    try:
        config = LoraConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise AdapterError(f"adapter {folder} has no readable LoRA adapter_config.json: {error}") from error
    if not isinstance(config, LoraConfig):
        raise AdapterError(f"adapter {folder} is of type {config.peft_type}; only plain LoRA adapters can be stacked")
    defaults = LoraConfig()
    for field in dataclasses.fields(config):
        value, default = getattr(config, field.name), getattr(defaults, field.name, None)
        if field.name not in _IGNORED and value != default and value:
            raise AdapterError(
                f"adapter {folder} sets {field.name}={value!r}, which cannot share a batch with other adapters; "
                "train it as plain LoRA, or merge it into a model of its own"
            )
    return config


def _read_tensors(path: Path) -> Iterator[tuple[str, torch.Tensor]]:
    try:
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 - safe_open is no mapping
                yield key, file.get_tensor(key)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"adapter weights {path} cannot be read as safetensors: {error}") from error


def _split_key(key: str, folder: Path) -> tuple[str, str]:
    for side in ("lora_A", "lora_B"):
        ending = f".{side}.weight"
        if key.startswith(_PREFIX) and key.endswith(ending):
            return key[len(_PREFIX) : -len(ending)], side
    raise AdapterError(f"adapter {folder} holds {key!r}, which is not a LoRA matrix of a linear layer")


def _base_linear(module: nn.Module) -> nn.Linear | None:
    if isinstance(module, StackedLinear):
        return module.base
    return module if isinstance(module, nn.Linear) else None


def _checked(
    name: str, sides: Mapping[str, torch.Tensor], linear: nn.Linear | None, config: Any, folder: Path
) -> tuple[torch.Tensor, torch.Tensor]:
    if linear is None:
        raise AdapterError(f"adapter {folder} changes {name!r}, which is not a linear layer of the base model")
    if len(sides) != 2:
        raise AdapterError(f"adapter {folder} has only one of the two LoRA matrices of {name!r}")
    down, up = sides["lora_A"], sides["lora_B"]
    wanted = (linear.in_features, linear.out_features)
    if down.dim() != 2 or up.dim() != 2 or (down.shape[1], up.shape[0]) != wanted or down.shape[0] != up.shape[1]:
        raise AdapterError(
            f"adapter {folder} does not fit the base model: {name!r} maps {wanted[0]} to {wanted[1]} features, "
            f"its matrices are {tuple(down.shape)} and {tuple(up.shape)}"
        )
    return down, up * _scale(name, config, down.shape[0])


def _scale(name: str, config: Any, rank: int) -> float:
    from peft.utils.other import get_pattern_key

    key = get_pattern_key(config.alpha_pattern.keys(), name)
    alpha = config.alpha_pattern.get(key, config.lora_alpha)
    return float(alpha) / (math.sqrt(rank) if config.use_rslora else rank)
