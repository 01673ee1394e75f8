"""Whether two names mean one base model: an embedded name, a hub id, a quantized copy's, a folder here or elsewhere.

This file knows names; it must not know weights, which say more wherever they are here.
"""

import re
from pathlib import Path, PurePath

from .embedded import EMBEDDED
from .hub import is_hub_id, meant_as_path

_IN_HUB_CACHE = re.compile(r"models--[^/]+--(?P<name>[^/]+)/snapshots/[^/]+/?$")
"""The end of a path in the hub's cache, whose last part says nothing."""

_QUANTIZED = re.compile(
    r"([-_.](unsloth|bnb|[2-8]-?bits?|int[48]|fp8|nf4|dynamic|gptq|awq|gguf|exl2|hqq|mlx|q[2-8](_[01k](_[sml])?)?))+$",
    re.IGNORECASE,
)
"""How the names of quantized copies end; an adapter of one is an adapter of its base."""

_FOLDERS = frozenset(
    "adapter adapters ckpt ckpts checkpoint checkpoints content data experiment experiments exp finetuned llm llms lora"
    " merged model models out output outputs result results run runs saved tmp train trained training weights work"
    " workspace".split()
)
"""Where trainings keep their models; `outputs/merged` looks like a hub id and means one thing in each project."""

_RESULT = re.compile(
    r"base|best|final|last|latest|model|output|merged([-_]\w+)?|(checkpoint|epoch|step)[-_]?\d+", re.IGNORECASE
)
"""What trainings call what they made."""


def same_base(one: str, other: str) -> bool | None:
    """Whether two names mean one base model; None where names cannot tell.

    They do where they are alike without owner, folder, capitals and what marks a quantized copy, or where they lead to
    one folder here. They do not where they differ and each means the same model to everybody.
    """
    if plain_name(one) == plain_name(other) or _one_folder(one, other):
        return True
    return False if is_public(one) and is_public(other) else None


def plain_name(model: str) -> str:
    """The name of a model as far as it tells models apart: in small letters, without owner, folder, or quantization."""
    cached = _IN_HUB_CACHE.search(model)
    known = EMBEDDED.get(model)
    name = cached["name"] if cached else known.hub_id if known else model
    return _QUANTIZED.sub("", PurePath(name).name).casefold()


def is_public(model: str) -> bool:
    """Whether everybody means the same model by this name."""
    if model in EMBEDDED:
        return True
    owner, _, name = model.partition("/")
    local = owner.casefold() in _FOLDERS or _RESULT.fullmatch(name) or meant_as_path(model)
    return is_hub_id(model) and not local


def is_quantized(model: str) -> bool:
    """Whether a name is that of a quantized copy."""
    return _QUANTIZED.search(model.rstrip("/")) is not None


def _one_folder(one: str, other: str) -> bool:
    paths = [Path(name).expanduser() for name in (one, other)]
    return all(path.is_dir() for path in paths) and paths[0].samefile(paths[1])
