"""The instructions of a saved program in MLflow's prompt registry, where its UI shows how they changed.

This file knows saved states and the prompt registry; it must not know how instructions were found.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from ...programs.saved_folder import read_json
from ...programs.saving import STATE

if TYPE_CHECKING:
    from mlflow import MlflowClient

VERSION_TAG = "modplural.version"

_MEMBER = re.compile(r"pool\.communities\['(?P<community>[^']+)'\]\.comment")


def instructions(program: Path) -> dict[str, str]:
    """What each predictor of a saved program is told, by a readable name: `synthesize`, or the community's name."""
    state = read_json(program / STATE)
    return {
        predictor_name(place): part["signature"]["instructions"]
        for place, part in state.items()
        if isinstance(part, dict) and "signature" in part
    }


def predictor_name(place: str) -> str:
    """A predictor's place in a program as people would call it."""
    member = _MEMBER.fullmatch(place)
    return member["community"] if member else place.removesuffix(".predict")


def register_prompts(client: MlflowClient, program: Path, name: str, number: int) -> None:
    """Register the instructions that differ from the latest of their name, `<name>.<predictor>`."""
    for predictor, text in instructions(program).items():
        prompt = f"{name}.{re.sub(r'[^A-Za-z0-9_.-]', '-', predictor)}"
        latest = client.load_prompt(f"prompts:/{prompt}@latest", allow_missing=True)
        if latest is None or latest.template != text:
            client.register_prompt(
                prompt, text, commit_message=f"{name}, version {number}", tags={VERSION_TAG: f"{name}/{number}"}
            )
