"""Which linear layers of a base are adapted; this file reads a base's layers off its configuration, and no weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ...programs.engines.weights import WeightsError

_USUAL = ("q_proj", "v_proj", "o_proj", "up_proj", "down_proj")


class TargetsError(ValueError):
    """A layer was named that the base does not have; the message lists those that it has."""


def find_targets(base: Path, named: Sequence[str] | None) -> tuple[str, ...]:
    """The layers of the model in a folder that are adapted, before its weights are loaded; see `choose_targets`."""
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.from_pretrained(base, local_files_only=True)
    with torch.device("meta"):  # layers without the memory for them
        model = AutoModelForCausalLM.from_config(config)
    return choose_targets(model, named)


def choose_targets(model: Any, named: Sequence[str] | None) -> tuple[str, ...]:
    """The layers of a causal LM that are adapted.

    Args:
        model: The causal LM.
        named: The ends of layers' names, such as "q_proj" or "self_attn.q_proj". When None these are the five of Llama
            that adapters are commonly made for, where the model has all of them, and else all its linear layers but
            the output head: a part of the five would be an arbitrary part of the model.

    Returns:
        Each name once, in the model's order, so that it does not matter in which order they were named.

    Raises:
        TargetsError: No linear layer but the head has one of the names.
        WeightsError: The model has no linear layers that could be adapted.
    """
    layers = _linear_layers(model)
    known = tuple(dict.fromkeys(name.rpartition(".")[2] for name in layers))
    if not known:
        raise WeightsError(
            f"models of type {model.config.model_type!r} have no linear layers that an adapter could change; name a "
            "base of another type, such as a Llama or Qwen"
        )
    if named is None:
        return _USUAL if set(_USUAL) <= set(known) else known
    places = {
        name: [place for place, layer in enumerate(layers) if f".{layer}".endswith(f".{name}")]
        for name in sorted(named)  # of two names for the same layers, one always comes first
    }
    for name in named:
        if not places[name]:
            raise TargetsError(f"the base has no linear layer {name!r} to adapt; it has {', '.join(known)}")
    return tuple(sorted(places, key=places.__getitem__))


def _linear_layers(model: Any) -> list[str]:
    """Full names of the layers that the engine can run adapters on."""
    head = model.get_output_embeddings()
    return [name for name, module in model.named_modules() if isinstance(module, nn.Linear) and module is not head]
