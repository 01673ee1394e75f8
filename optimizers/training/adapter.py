"""The trained adapter as a folder: safetensors, PEFT's configuration and a model card."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

_CARD = """\
---
{head}---

# {community}

A LoRA adapter that makes `{base}` speak for the community *{community}*: it comments on a question or a situation. It
was trained with `modplural communities train {community}` and is used by naming its folder as the `adapter` of a
community in a pool file.

It writes what its corpus taught it to write, fluently and sometimes wrongly. It stands for the people behind the corpus
no further than the corpus does, gives no advice, and says nothing about what is true.

| | |
|---|---|
{rows}
"""


def write_adapter(
    model: Any, base: str, community: str, license: str | None, facts: Mapping[str, Any], folder: Path
) -> None:
    """Write an adapter.

    Args:
        model: A PEFT model with one adapter. Its adapter weights become float16, which holds them in half the space.
        base: The hub id or name of the base model, for the configuration and the card.
        community: Whom it speaks for.
        license: What the card says of how it may be used, such as "apache-2.0"; nothing is said of it when None.
        facts: What the card's table says.
        folder: The folder; what an earlier attempt left there is replaced.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.half()
    config = model.peft_config["default"]
    config.base_model_name_or_path = base  # PEFT put the folder in this user's cache there
    config.target_modules = sorted(config.target_modules)  # a set would be written in another order each time
    model.save_pretrained(folder)
    rows = "\n".join(f"| {key.replace('_', ' ')} | {_shown(value)} |" for key, value in facts.items())
    card = _CARD.format(head=_head(base, license), base=base, community=community, rows=rows)
    (folder / "README.md").write_text(card, encoding="utf-8")


def _head(base: str, license: str | None) -> str:
    """The card's metadata, by the names that the model hub has for them."""
    licensed = {"license": license} if license else {}
    tags = ["modplural", "lora", "pluralistic-alignment"]
    said = {"library_name": "peft", "base_model": base, **licensed, "tags": tags}
    return yaml.safe_dump(said, sort_keys=False, default_flow_style=None, allow_unicode=True)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
