"""One transformers causal LM, ready for mixed batches: loaded once, with its adapters, and its head where it is needed.

This file knows the model; it must not know requests, threads or DSPy.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from .devices import check_names, find_device, find_dtype
from .lora import AdapterStack
from .prompts import ChatFormat
from .slots import SlotCache
from .weights import WeightsError


@dataclass(frozen=True)
class ModelFacts:
    """What others need to know of a loaded model; it holds no weights.

    Attributes:
        chat: Makes prompts of chat turns, and text of tokens.
        context: Most tokens of a prompt and its answer together.
        turn_end: The token that ends an assistant turn, if any does.
    """

    chat: ChatFormat
    context: int
    turn_end: int | None


class Backbone:
    """A causal LM with an adapter stack, on one device and in one dtype. One thread owns it."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        """Wrap a transformers causal LM and its tokenizer; `load_backbone` makes both from a folder."""
        self.model = model.eval().requires_grad_(False)
        self.chat = ChatFormat(tokenizer)
        self.adapters = AdapterStack(self.model)
        self.device: torch.device = model.device
        self.end_tokens = _end_tokens(model, tokenizer)
        self.facts = ModelFacts(self.chat, _context(model), self.chat.turn_end(self.end_tokens))
        self._window = _common_window(model)
        self._selected: torch.Tensor | None = None
        head: nn.Module = model.get_output_embeddings()
        head.register_forward_pre_hook(self._select)

    @property
    def cell_bytes(self) -> int:
        """Bytes of key/value cache per token."""
        config = self.model.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return int(2 * config.num_hidden_layers * heads * size * self.model.dtype.itemsize)

    def load_adapter(self, key: str, folder: Path, revision: str | None = None) -> None:
        """Stack the adapter in `folder` under `key` if it is not there yet; `revision` is what its files must be still.

        Raises:
            AdapterError: It does not fit, or has changed; the model is untouched.
        """
        self.adapters.load(key, folder, revision)

    def new_cache(self, max_rows: int = 0, max_cells: int = 0) -> SlotCache:
        """An empty slot cache for this model; see `SlotCache` for how far it grows ahead of need."""
        return SlotCache(int(self.model.config.num_hidden_layers), self.device, max_rows, max_cells)

    def prefill(
        self, cache: SlotCache, prompts: Sequence[Sequence[int]], adapters: Sequence[str | None]
    ) -> torch.Tensor:
        """Run prompts as new rows of the cache.

        Returns:
            Logits after each prompt's last token, shape (rows, vocabulary), float32.
        """
        lengths = [len(prompt) for prompt in prompts]
        width = max(lengths)
        ids = torch.tensor([[*prompt, *[0] * (width - len(prompt))] for prompt in prompts], device=self.device)
        positions = torch.arange(width, device=self.device)
        cache.append(lengths)
        self.adapters.route(adapters)
        last = torch.tensor([row * width + length - 1 for row, length in enumerate(lengths)], device=self.device)
        return self._forward(ids, positions[None, :], None, last, cache)

    def step(self, cache: SlotCache, tokens: Sequence[int], adapters: Sequence[str | None]) -> torch.Tensor:
        """Run one token for every row of the cache; logits of shape (rows, vocabulary), float32."""
        positions, mask = cache.extend()
        self.adapters.route(adapters)
        ids = torch.tensor(tokens, device=self.device)[:, None]
        return self._forward(ids, positions, mask, None, cache)

    def read(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor,
        selected: torch.Tensor,
        adapters: Sequence[str | None],
    ) -> torch.Tensor:
        """Run packed rows without a cache.

        Args:
            ids: Shape (rows, tokens).
            positions: Position of each token in its own sequence, shape (rows, tokens).
            mask: True to attend, shape (rows, 1, tokens, tokens).
            selected: Flat indices (row * tokens + token) whose next-token logits are wanted.
            adapters: One per row.

        Returns:
            Logits, shape (selected, vocabulary), in the model's dtype.
        """
        self.adapters.route(adapters)
        return self._forward(ids, positions, mask, selected, None, to_float=False)

    def _forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,
        mask: torch.Tensor | None,
        selected: torch.Tensor | None,
        cache: SlotCache | None,
        to_float: bool = True,
    ) -> torch.Tensor:
        """Run the model; without a mask each token attends to those before it in its row."""
        seen = ids.shape[1] if mask is None else mask.shape[-1]
        if self._window and seen > self._window:
            keys = torch.arange(seen, device=self.device) if cache is not None else positions[:, None, None, :]
            distance = positions[:, None, :, None] - keys
            mask = (distance >= 0 if mask is None else mask) & (distance < self._window)
        self._selected = selected
        try:
            output = self.model(
                input_ids=ids,
                position_ids=positions.expand(ids.shape),
                attention_mask=None if mask is None else mask.expand(ids.shape[0], -1, -1, -1),
                past_key_values=cache,
                use_cache=cache is not None,
            )
        finally:
            self._selected = None
        logits: torch.Tensor = output.logits.flatten(0, 1)
        return logits.float() if to_float else logits

    def _select(self, _head: nn.Module, arguments: tuple[torch.Tensor, ...]) -> tuple[torch.Tensor, ...] | None:
        """Let the language-model head see only the positions that are read; elsewhere it is wasted work."""
        if self._selected is None:
            return None
        hidden = arguments[0]
        return (hidden.reshape(-1, hidden.shape[-1])[self._selected][None], *arguments[1:])


def load_backbone(folder: Path, device: str | None = None, dtype: str | None = None) -> Backbone:
    """Load a causal LM from a transformers model folder with safetensors weights.

    Args:
        folder: Where configuration, weights and tokenizer are.
        device: Such as "cpu" or "cuda:1"; CUDA if there is one when None.
        dtype: Such as "float32"; bfloat16 where it is fast when None.

    Raises:
        ValueError: This machine has no such device, or there is no such dtype; nothing was loaded.
    """
    check_names(device, dtype)
    chosen = find_device(device)
    kind = find_dtype(dtype, chosen)
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging

    bars = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        model: Any = AutoModelForCausalLM.from_pretrained(
            folder, dtype=kind, attn_implementation="sdpa", use_safetensors=True, local_files_only=True
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    finally:
        if bars:
            logging.enable_progress_bar()
    if chosen.type == "cpu":
        _leave_file(model)
    return Backbone(model.to(chosen), tokenizer)


def _leave_file(model: Any) -> None:
    """Copy the weights out of their file, which is mapped: its pages would stay in memory beside the copies of them.

    Adapters are stacked below the weights they change, in new matrices.
    """
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()


def _end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    named = model.generation_config.eos_token_id
    ids = named if isinstance(named, list) else [named]
    return frozenset(i for i in [*ids, tokenizer.eos_token_id] if i is not None)


def _context(model: Any) -> int:
    """Most tokens of a sequence, such that what a row's positions mean does not depend on the rows beside it.

    transformers chooses frequencies of rotary positions by the longest row of a batch, for all of them. 'longrope' has
    two sets of them; the short one is right up to the length the model was first trained on, and no row may pass that.

    Raises:
        WeightsError: The frequencies change with every length ('dynamic').
    """
    config = model.config
    context = int(config.max_position_embeddings)
    for rope in _ropes(getattr(config, "rope_parameters", None) or {}):
        kind = str(rope["rope_type"])
        if "dynamic" in kind:
            raise WeightsError(_not_run(f"models whose rope type is {kind!r}, as that of this {config.model_type!r}"))
        if kind == "longrope":
            context = min(context, int(rope["original_max_position_embeddings"]))
    return context


def _ropes(parameters: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The settings of rotary positions: one mapping, or one for each kind of layers, which may be None."""
    nested = [value for value in parameters.values() if isinstance(value, Mapping)]
    return [rope for rope in [parameters, *nested] if "rope_type" in rope]


def _not_run(what: str) -> str:
    return f"the in-process engine does not run {what}; serve it with vLLM and name it as hosted_vllm/<name>"


def _common_window(model: Any) -> int | None:
    """The sliding window of models whose layers all have it (Mistral 7B v0.1); explicit masks must respect it.

    Raises:
        WeightsError: Rows of different lengths cannot share a batch of this model: it reads positions off the mask
            (ALiBi) or the cache, or its layers attend in several ways.
    """
    config = model.config
    kinds = set(getattr(config, "layer_types", None) or ())
    takes_positions = "position_ids" in inspect.signature(model.forward).parameters
    if not takes_positions or getattr(config, "alibi", False) or len(kinds) > 1:
        raise WeightsError(_not_run(f"models like this one of type {config.model_type!r}"))
    window = getattr(config, "sliding_window", None)
    return int(window) if window and kinds != {"full_attention"} else None
