"""What a saved program says of itself, as names and texts: its prompts and settings, for people and side by side.

This file reads folders and makes no program, so that no LM, key or weight is needed for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...programs.saved_folder import read_json
from ...programs.saving import STATE, read_manifest
from .prompts import predictor_name

_NOT_CONTENT = {"traces", "train", "lm", "signature", "demos"}
"""Entries of a predictor's state that are notes of optimizers, or stand among the prompts."""


@dataclass(frozen=True)
class Contents:
    """A saved program in words.

    Attributes:
        prompts: What each predictor is told and shown: `synthesize`, `synthesize, demo 1`.
        settings: Everything else by name: LMs, the pool, strategies, weights, versions of packages.
    """

    prompts: Mapping[str, str]
    settings: Mapping[str, str]


@dataclass(frozen=True)
class Difference:
    """One thing that two programs do not have alike; None is what one of them has not."""

    name: str
    first: str | None
    second: str | None


def read_contents(folder: Path) -> Contents:
    """Read a saved program.

    Raises:
        SavedProgramError: The folder holds none.
    """
    manifest, state = read_manifest(folder), read_json(folder / STATE)
    described = manifest.model_dump(mode="json", exclude={"format", "predictors", "communities"}, exclude_none=True)
    settings = dict(_flat("", described))
    for community in manifest.communities:
        member = community.model_dump(mode="json", exclude={"name"}, exclude_none=True)
        settings |= dict(_flat(community.name, member))
    prompts: dict[str, str] = {}
    for place, part in state.items():
        name = predictor_name(place)
        if "signature" in part:
            prompts |= dict(_prompts(name, part))
        settings |= dict(_flat(name, {key: value for key, value in part.items() if key not in _NOT_CONTENT}))
    return Contents(prompts, settings)


def differences(first: Mapping[str, str], second: Mapping[str, str]) -> list[Difference]:
    """What two programs do not have alike, in the order of the first, then what only the second has."""
    names = dict.fromkeys([*first, *second])
    return [
        Difference(name, first.get(name), second.get(name)) for name in names if first.get(name) != second.get(name)
    ]


def _prompts(name: str, state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield name, state["signature"]["instructions"]
    for field in state["signature"]["fields"]:
        yield f"{name}, {field['prefix'].rstrip(':')}", field["description"]
    for place, demo in enumerate(state["demos"], start=1):
        shown = (f"{key}: {_text(value)}" for key, value in demo.items() if key != "augmented")
        yield f"{name}, demo {place}", "\n".join(shown)


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, part in value.items():
            yield from _flat(f"{name}.{key}" if name else str(key), part)
    elif isinstance(value, list) and value and isinstance(value[0], Mapping):
        for place, part in enumerate(value, start=1):
            yield from _flat(f"{name}.{place}", part)
    elif value not in ([], None):
        yield name, _text(value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
