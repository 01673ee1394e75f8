"""Reads a pool file, or a preset pool by its name, and says in which line a mistake is.

This file knows where pools are written; what one may say is in `programs/config.py`, and how its LMs are made in
`programs/building.py`.
"""

from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from . import data
from .programs.building import BuiltPool, build_pool
from .programs.config import CommunityConfig, LMConfig, PoolConfig
from .programs.config_fields import LOCAL, REFUSED
from .yaml_lines import YamlDocument, YamlError, read_yaml

_AnyLM = TypeVar("_AnyLM", LMConfig, CommunityConfig)
_SHOWN = 60


class PoolFileError(ValueError):
    """A pool file cannot be used. One line per problem: the file and line, the field, what is wrong."""


def preset_names() -> tuple[str, ...]:
    """The names of the pools that come along, in alphabetical order."""
    return tuple(sorted(path.stem for path in _preset_folder().glob("*.yaml")))


def preset_text(name: str) -> str:
    """The YAML of a preset."""
    return _read(_preset_folder() / f"{name}.yaml")


def load_pool(source: str | Path) -> PoolConfig:
    """Read and check a pool.

    Args:
        source: The name of a preset, or the path of a YAML file; for a file that is named like a preset write `./name`.
            In a file, a model or adapter that begins with `./` or `../`, or that has a slash and is a folder beside
            the file, is relative to the file.

    Raises:
        PoolFileError: It is not there, is not YAML, or does not describe a pool; the message lists every problem.
    """
    path = _preset_folder() / f"{source}.yaml" if source in preset_names() else Path(source)
    return anchored(parse_pool(path, _read(path)), path.absolute().parent)


def parse_pool(path: Path, text: str) -> PoolConfig:
    """Check the text of a pool file; paths in it stay as they are.

    Args:
        path: Where the text is from, for messages.
        text: YAML.

    Raises:
        PoolFileError: It is not YAML, or does not describe a pool; the message lists every problem.
    """
    try:
        document = read_yaml(text)
        return PoolConfig.model_validate({} if document.value is None else document.value)
    except YamlError as error:
        raise PoolFileError(f"{path}:{error.line or 1}: {error}") from error
    except ValidationError as error:
        problems = (_describe(path, document, problem) for problem in error.errors())
        raise PoolFileError("\n".join(problems)) from error


def anchored(pool: PoolConfig, folder: Path) -> PoolConfig:
    """The same pool from whatever working directory: paths that are relative to its file's folder are made absolute."""

    def place(lm: _AnyLM) -> _AnyLM:
        adapter = lm.adapter and _place(lm.adapter, folder)
        model = lm.model
        if model and model.startswith(LOCAL):
            model = LOCAL + _place(model.removeprefix(LOCAL), folder)
        return lm.model_copy(update={"adapter": adapter, "model": model})

    shared = pool.community_base and place(pool.community_base)
    communities = tuple(place(community) for community in pool.communities)
    return pool.model_copy(update={"base": place(pool.base), "community_base": shared, "communities": communities})


def open_pool(source: str | Path = "default") -> BuiltPool:
    """Read a pool and make its LMs, for a mode such as `Overton(base, pool)`.

    Args:
        source: As for `load_pool`. The default pool answers offline, with no key.

    Returns:
        The base LLM and the pool, to be unpacked: `base, pool = open_pool("default")`.

    Raises:
        PoolFileError: The file cannot be used; see `load_pool`.
        LookupError: An environment variable for a key is unset or empty.
        ValueError: A `local/` model or an adapter cannot be found or used.
    """
    return build_pool(load_pool(source))


def _preset_folder() -> Path:
    return Path(str(resources.files(data) / "pools"))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        presets = ", ".join(preset_names())
        raise PoolFileError(f"{path}: no such pool file, and no preset of that name; presets are {presets}") from error
    except (OSError, ValueError) as error:
        raise PoolFileError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _describe(path: Path, document: YamlDocument, problem: Mapping[str, Any]) -> str:
    """One line for one problem; to Pydantic's messages the value is added, our own show it unless it may be secret."""
    location, value = problem["loc"], problem["input"]
    field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".")
    message = f"{field}: {problem['msg']}" if field else problem["msg"]
    if problem["type"] != REFUSED and isinstance(value, str | int | float):
        message += f" (got {repr(value)[:_SHOWN]})"
    return f"{path}:{document.line(location)}: {message}"


def _place(name: str, folder: Path) -> str:
    beside = folder / name
    return str(beside.resolve()) if name.startswith(("./", "../")) or ("/" in name and beside.is_dir()) else name
