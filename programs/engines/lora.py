"""Any number of LoRA adapters on one model, each row of a batch through its own adapter.

All adapters' A matrices stand together and so do all B matrices, with a mask per row in between: every
row is served by two matrix products however many adapters share the batch, and one copy of the base weights serves all.
This file knows modules and adapter files; it must not know batches of requests.

The update is PEFT's (Hu et al., 2021): ``W x + scale * B A x`` with ``scale = alpha / r`` (``alpha / sqrt(r)`` for
rank-stabilized adapters).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from .lora_config import AdapterError, LoraConfig, read_config, split_key
from .lora_files import adapter_revision

__all__ = ["AdapterError", "AdapterStack", "LoraWeights", "StackedLinear", "read_lora"]


@dataclass(frozen=True)
class LoraWeights:
    """One adapter's matrices by module name: A of shape (rank, inputs), B of shape (outputs, rank), scale included."""

    matrices: Mapping[str, tuple[torch.Tensor, torch.Tensor]]


def read_lora(folder: Path, linears: Mapping[str, nn.Linear]) -> LoraWeights:
    """Read a PEFT LoRA adapter and check that it fits a model, without touching the model.

    Args:
        folder: Holds `adapter_config.json` and `adapter_model.safetensors`.
        linears: The model's linear layers by name, as far as adapters may change them.

    Raises:
        AdapterError: The adapter is not plain LoRA, is damaged, or does not fit; the message says why.
    """
    config = read_config(folder)
    halves: dict[str, dict[str, torch.Tensor]] = {}
    for key, tensor in _read_tensors(folder / "adapter_model.safetensors").items():
        module, side = split_key(key, folder)
        halves.setdefault(module, {})[side] = tensor
    if not halves:
        raise AdapterError(f"adapter {folder} holds no LoRA matrices")
    return LoraWeights({name: _checked(name, sides, linears, config, folder) for name, sides in halves.items()})


class AdapterStack:
    """The adapters stacked on one model. Not thread-safe: one thread owns the model."""

    def __init__(self, model: Any) -> None:
        """Prepare a stack over a transformers causal LM; nothing changes until an adapter is added."""
        self._model = model
        head = model.get_output_embeddings()
        self._linears = {
            name: module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and module is not head
        }
        self._stacked: dict[str, StackedLinear] = {}
        self._numbers = itertools.count()
        self._loaded: dict[str, int] = {}
        self._routing = _Routing()

    def load(self, key: str, folder: Path, revision: str | None = None) -> None:
        """Stack the adapter in `folder` under `key` if it is not there yet; `revision` is what its files must be still.

        Raises:
            AdapterError: It does not fit, or has changed; the model is untouched.
        """
        if key in self._loaded:
            return
        weights = read_lora(folder, self._linears)
        # Told after reading, so that no change slips in between.
        if revision is not None and adapter_revision(folder) != revision:
            raise AdapterError(
                f"adapter {folder} has changed since this LM was made, and its replies would be kept as those of the"
                f" adapter that it was ({revision}); make the LM anew"
            )
        number = next(self._numbers)  # never given twice: a load that ran out of memory leaves matrices of its number
        for name, (down, up) in weights.matrices.items():
            self._layer(name).stack(number, down, up)
        self._loaded[key] = number

    def route(self, keys: Sequence[str | None]) -> None:
        """Send each row of the next forward passes through its adapter; None is the base model."""
        self._routing.set([-1 if key is None else self._loaded[key] for key in keys])

    def _layer(self, name: str) -> StackedLinear:
        if name not in self._stacked:
            self._stacked[name] = StackedLinear(self._linears[name], self._routing)
            self._model.set_submodule(name, self._stacked[name])
        return self._stacked[name]


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

    def stack(self, number: int, down: torch.Tensor, up: torch.Tensor) -> None:
        """Add adapter `number`: down of shape (rank, inputs), up of shape (outputs, rank)."""
        joint, stacked_up = torch.cat([self.joint, down]), torch.cat([self.up, up.T])
        self.owners += (number,) * down.shape[0]
        self.joint, self.up = joint, stacked_up
        self.base.weight.data = joint[: self.base.out_features]

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Shape (rows, tokens, inputs) to (rows, tokens, outputs)."""
        foreign = self._routing.foreign(self.owners, inputs.device)
        if foreign is None:
            outputs: torch.Tensor = self.base(inputs)
            return outputs
        both = nn.functional.linear(inputs, self.joint)
        outputs, hidden = both.split_with_sizes([self.base.out_features, len(self.owners)], dim=-1)
        # Masked, not multiplied: what overflows in one row's adapter must not become a NaN in another row.
        outputs.flatten(0, -2).addmm_(hidden.masked_fill(foreign, 0).flatten(0, -2), self.up)
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

    def foreign(self, owners: tuple[int, ...], device: torch.device) -> torch.Tensor | None:
        """Where a row meets a column of another's adapter, shape (rows, 1, columns); None where no row needs any."""
        if owners not in self._masks:
            self._masks[owners] = None if set(owners).isdisjoint(self._rows) else self._compare(owners, device)
        return self._masks[owners]

    def _compare(self, owners: tuple[int, ...], device: torch.device) -> torch.Tensor:
        rows = torch.tensor(self._rows, device=device)
        return (rows[:, None] != torch.tensor(owners, device=device))[:, None, :]


def _read_tensors(path: Path) -> dict[str, torch.Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise AdapterError(f"adapter weights {path} cannot be read as safetensors: {error}") from error


def _checked(
    name: str, sides: Mapping[str, torch.Tensor], linears: Mapping[str, nn.Linear], config: LoraConfig, folder: Path
) -> tuple[torch.Tensor, torch.Tensor]:
    """Both matrices of a module in its device and dtype, scale included."""
    if name not in linears:
        raise AdapterError(
            f"adapter {folder} changes {name!r}, which is no linear layer of the base model (its output head excepted)"
        )
    if len(sides) != 2:
        raise AdapterError(f"adapter {folder} has only one of the two LoRA matrices of {name!r}")
    weight, rank = linears[name].weight, config.rank(name)
    wanted = (rank, weight.shape[1]), (weight.shape[0], rank)
    found = tuple(sides["lora_A"].shape), tuple(sides["lora_B"].shape)
    if found != wanted:
        raise AdapterError(
            f"adapter {folder} does not fit the base model: at rank {rank} the matrices of {name!r} have the shapes "
            f"{wanted[0]} and {wanted[1]}, not {found[0]} and {found[1]}"
        )
    down, up = sides["lora_A"].to(weight), (sides["lora_B"].float() * config.scale(name, rank)).to(weight)
    if not bool(down.isfinite().all() and up.isfinite().all()):
        raise AdapterError(f"adapter {folder} is damaged: the matrices of {name!r} hold NaN or infinite numbers")
    return down, up
