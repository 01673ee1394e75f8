"""Describes an LM for a saved program, and makes it again: what LM it was, never what let us in.

This file knows LMs and their configurations; it must not know programs or files.
"""

import logging
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dspy
from pydantic import BaseModel, ConfigDict, ValidationError

from .config import LMConfig
from .config_fields import LOCAL
from .engines.embedded import EMBEDDED

_SAVED = {"temperature", "max_tokens", "max_completion_tokens", "api_base", "base_url"}

_logger = logging.getLogger(__name__)


class CustomLM(BaseModel):
    """An LM that only its maker can make again: of its own class or engine, or not a chat model.

    Attributes:
        custom: Its model string.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    custom: str


def describe_lm(lm: dspy.BaseLM, name: str) -> LMConfig | CustomLM:
    """Say what LM it is; what cannot be said is named in the log.

    Keys, headers and other settings of the connection are left out, and so are credentials in the server's address.

    Args:
        lm: Any LM.
        name: What the log calls it.
    """
    if type(lm) is not dspy.LM or lm.model_type != "chat":
        return CustomLM(custom=lm.model)
    try:
        config = LMConfig(**_local(lm) if lm.model.startswith(LOCAL) else _remote(lm), **_sampling(lm))
    except (ValidationError, _NotDescribableError):
        return CustomLM(custom=lm.model)
    unsaved = _unsaved(lm, config)
    if unsaved:
        _logger.warning(
            "of the LM of %s these settings are not saved: %s; when the program is loaded, give it an LM that has them",
            name,
            ", ".join(unsaved),
        )
    return config


class _NotDescribableError(Exception):
    """No configuration makes this LM."""


def _sampling(lm: dspy.LM) -> dict[str, Any]:
    most = lm.kwargs.get("max_tokens") or lm.kwargs.get("max_completion_tokens")
    return {"temperature": lm.kwargs.get("temperature"), "max_tokens": most}


def _local(lm: dspy.LM) -> dict[str, Any]:
    from .engines.local import LocalEngine

    if not isinstance(lm.engine, LocalEngine):
        raise _NotDescribableError
    made_of = lm.engine.dump_state()
    model = made_of["model"].removeprefix(LOCAL)
    return {
        "model": LOCAL + (model if model in EMBEDDED else _from_anywhere(model)),
        "adapter": made_of["adapter"] and _from_anywhere(made_of["adapter"]),
    }


def _remote(lm: dspy.LM) -> dict[str, Any]:
    if not isinstance(lm.engine, str):
        raise _NotDescribableError
    address = _address(lm)
    return {
        "model": lm.model if "/" in lm.model else f"openai/{lm.model}",
        "api_base": address and _without_credentials(address),
        "api_key_env": _key_variable(lm),
    }


def _from_anywhere(name: str) -> str:
    """A folder as an absolute path, so that it is found from any working directory; another name as it is."""
    folder = Path(name).expanduser()
    return str(folder.resolve()) if folder.is_dir() else name


def _address(lm: dspy.LM) -> str | None:
    return lm.kwargs.get("api_base") or lm.kwargs.get("base_url")


def _without_credentials(address: str) -> str:
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _key_variable(lm: dspy.LM) -> str | None:
    """The environment variable that the key came from, if the LM was built from a configuration that names one."""
    built_from = getattr(lm, "built_from", None)
    return built_from.api_key_env if isinstance(built_from, LMConfig) else None


def _unsaved(lm: dspy.LM, config: LMConfig) -> list[str]:
    names = [name for name, value in lm.kwargs.items() if value is not None and name not in _SAVED]
    if "api_key" in names and (config.api_key_env or isinstance(getattr(lm, "built_from", None), LMConfig)):
        names.remove("api_key")
    if config.api_base and config.api_base != _address(lm):
        names.append("credentials in api_base")
    if isinstance(lm.engine, str) and lm.engine != "auto":
        names.append("engine")
    return names
