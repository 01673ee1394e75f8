"""LMs by the names that options have for them: the base LLM, an id, or a pool file where an id does not say enough.

This file knows names; it must not know what the LMs are for.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dspy

BASE = "base"
"""What the base LLM is called."""

_SERVED = "hosted_vllm/"
"""What the ids of LMs begin with that are on a server of somebody's own, whose address an id cannot tell."""

_POOL_FILES = (".yaml", ".yml")


def named_lm(option: str, name: str, base: dspy.LM) -> dspy.LM:
    """Make the LM of a name.

    Args:
        option: Where the name was given, for messages.
        name: `base`, an LM's id, or a pool file or preset whose base it is, with its address, key and settings.
        base: The base LLM.

    Raises:
        ValueError: There is no such LM, or the name leaves its address open.
        LookupError: An environment variable for a key is unset or empty.
    """
    from pydantic import ValidationError

    from ..poolfile import load_pool
    from ..programs.config import LMConfig
    from ..programs.lms import build_lm

    if name == BASE:
        return base
    if _is_pool(name):
        return build_lm(load_pool(name).base)
    try:
        config = LMConfig(model=name)
    except ValidationError as error:
        raise ValueError(
            f"{option}: {error.errors()[0]['msg']}; or '{BASE}', or a pool file whose base it is"
        ) from error
    if name.startswith(_SERVED):
        raise ValueError(
            f"{option}: {name!r} is on a server of your own, and its address is not known; give a pool file in its"
            f" place, with 'base: {{model: {name}, api_base: http://...}}'"
        )
    return build_lm(config)


def _is_pool(name: str) -> bool:
    """Whether a pool is meant: one that is there, or a file that should be, since no LM's id ends like it."""
    from ..poolfile import preset_names

    return name in preset_names() or Path(name).is_file() or Path(name).suffix in _POOL_FILES
