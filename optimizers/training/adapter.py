"""The trained adapter as a folder: safetensors, PEFT's configuration and a model card; whole or not there at all."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_CARD = """\
---
library_name: peft
base_model: {base}
license: apache-2.0
tags: [modplural, lora, pluralistic-alignment]
---

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


def save_adapter(model: Any, base: str, community: str, facts: Mapping[str, Any], target: Path, work: Path) -> None:
    """Write an adapter next to its place and move it there in one step.

    Args:
        model: A PEFT model with one adapter. Its adapter weights become float16, which holds them in half the space.
        base: The hub id or name of the base model, for the configuration and the card.
        community: Whom it speaks for.
        facts: What the card's table says.
        target: The folder; what was there before is replaced.
        work: A folder on the same file system for what is not finished.
    """
    made, old = work / "adapter", work / "replaced"
    for leftover in (made, old):
        shutil.rmtree(leftover, ignore_errors=True)
    for name, weight in model.named_parameters():
        if "lora_" in name:
            weight.data = weight.data.half()
    config = model.peft_config["default"]
    config.base_model_name_or_path = base  # PEFT put the folder in this user's cache there
    config.target_modules = sorted(config.target_modules)  # a set would be written in another order each time
    model.save_pretrained(made)
    rows = "\n".join(f"| {key.replace('_', ' ')} | {_shown(value)} |" for key, value in facts.items())
    card = _CARD.format(base=base, community=community, rows=rows)
    (made / "README.md").write_text(card, encoding="utf-8")
    if target.exists():
        target.rename(old)
    target.parent.mkdir(parents=True, exist_ok=True)
    made.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def _shown(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return f"{value:.4g}" if isinstance(value, float) else str(value)
