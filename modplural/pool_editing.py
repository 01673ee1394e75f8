"""Edits pool files: a community more, or some fewer; whatever else is in a file stays as its owner wrote it.

A file is replaced in one step, and only by one that is a pool. This file knows pool files; how YAML text is cut is in
`yaml_splicing.py`.
"""

import os
import shutil
import tempfile
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from .poolfile import PoolFileError, anchored, parse_pool, preset_names, preset_text
from .programs.config import CommunityConfig, LMConfig, PoolConfig
from .yaml_lines import YamlError, read_yaml
from .yaml_splicing import add_entry, remove_entry

_LIST = "communities"


class PoolEditError(ValueError):
    """A pool file cannot be edited as asked; nothing was written."""


def add_community(file: str | Path, community: CommunityConfig) -> PoolConfig:
    """Add a community at the end of a pool file.

    Args:
        file: The pool file; presets are not edited.
        community: Whose adapter or model, if it is a path, is relative to the file; see `relative_to_pool`.

    Returns:
        The pool as the file now says.

    Raises:
        PoolEditError: The pool has one of that name, or would be none with it, or is a preset, or cannot be edited.
        PoolFileError: The file is no pool.
        OSError: The file cannot be written.
    """
    edit = _adding(file, community)
    edit.write()
    return edit.pool


def added_lm(file: str | Path, community: CommunityConfig) -> LMConfig:
    """The LM that would speak for a community if it was added, its paths absolute; nothing is written.

    Raises:
        PoolEditError: As for `add_community`.
        PoolFileError: The file is no pool.
    """
    pool = anchored(_adding(file, community).pool, Path(file).absolute().parent)
    return pool.community_lm(pool.communities[-1])


def remove_communities(file: str | Path, names: Collection[str]) -> PoolConfig:
    """Take communities out of a pool file; at least one stays.

    Returns:
        The pool as the file now says.

    Raises:
        PoolEditError: There is none of a name, or none would be left, or the file is a preset or cannot be edited.
        PoolFileError: The file is no pool.
        OSError: The file cannot be written.
    """
    path = _editable(file)
    before, text = _read(path)
    known = [community.name for community in parse_pool(path, text).communities]
    if unknown := [name for name in names if name not in known]:
        raise PoolEditError(f"{path} has no community {', '.join(map(repr, unknown))}; it has {', '.join(known)}")
    if set(known) <= set(names):
        raise PoolEditError(f"{path} would be left without a community, and so be no pool; add another one first")
    edit = _edited(path, before, text, remove=[known.index(name) for name in dict.fromkeys(names)])
    edit.write()
    return edit.pool


def check_addable(file: str | Path, name: str) -> PoolConfig:
    """The pool in a file that a community of this name can be added to.

    Raises:
        PoolEditError: There is one of that name, or it is a preset.
        PoolFileError: The file is no pool.
    """
    path = _editable(file)
    pool = parse_pool(path, _read(path)[1])
    if any(community.name == name for community in pool.communities):
        raise PoolEditError(
            f"{path} has a community {name!r} already, and names tell messages apart; choose another name, or remove"
            " that one first"
        )
    return pool


def copy_preset(preset: str, file: str | Path) -> None:
    """Write a preset into a new file, to be edited.

    Raises:
        PoolEditError: There is no such preset, or the file is there already.
        OSError: It cannot be written.
    """
    if preset not in preset_names():
        raise PoolEditError(f"no preset {preset!r}; presets are {', '.join(preset_names())}")
    try:
        with Path(file).open("x", encoding="utf-8", newline="") as new:
            new.write(preset_text(preset))
    except FileExistsError as error:
        raise PoolEditError(f"{file} is there already, and would be lost; name another file") from error


def relative_to_pool(path: str, file: str | Path) -> str:
    """A path as a pool file has to say it: one that is relative to the working directory becomes relative to the file.

    Absolute paths stay as they are, and so do names of what comes along and hub ids, if no folder is there.
    """
    if Path(path).expanduser().is_absolute() or not Path(path).is_dir():
        return path
    relative = Path(os.path.relpath(Path(path).absolute(), Path(file).absolute().parent)).as_posix()
    return relative if relative.startswith("../") else f"./{relative}"


class _Edit(NamedTuple):
    """A file as it is and as it is to be, and the pool that it then holds."""

    path: Path
    before: bytes
    after: bytes
    pool: PoolConfig

    def write(self) -> None:
        _replace(self.path.resolve(), self.before, self.after)


def _adding(file: str | Path, community: CommunityConfig) -> _Edit:
    check_addable(file, community.name)
    path = Path(file)
    return _edited(path, *_read(path), add=_written(community))


def _editable(file: str | Path) -> Path:
    if file in preset_names():
        raise PoolEditError(
            f"{file} is a preset, and presets are not edited; `modplural communities copy {file} my-pool.yaml` makes a"
            f" file of yours, to be named by --pool (a file that is called {file} is ./{file})"
        )
    return Path(file)


def _read(path: Path) -> tuple[bytes, str]:
    """What is in the file, and its text with the line breaks that it has, without a byte order mark."""
    try:
        content = path.read_bytes()
        return content, content.decode("utf-8-sig")
    except FileNotFoundError as error:
        raise PoolFileError(
            f"{path}: no such pool file; `modplural communities copy default {path}` makes one, of the preset default"
        ) from error
    except (OSError, ValueError) as error:
        raise PoolFileError(f"{path}: cannot be read as UTF-8 text ({error})") from error


def _written(community: CommunityConfig) -> dict[str, Any]:
    """The fields that were given, name and description first."""
    fields = community.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    first = {field: fields.pop(field) for field in ("name", "description")}
    return first | fields


def _edited(
    path: Path, before: bytes, text: str, *, add: dict[str, Any] | None = None, remove: Collection[int] = ()
) -> _Edit:
    """Cut the text, and see that it says what it should."""
    wanted = read_yaml(text).value
    entries = [entry for index, entry in enumerate(wanted[_LIST]) if index not in remove]
    wanted[_LIST] = entries + ([add] if add else [])
    try:
        edited = add_entry(text, _LIST, add) if add else text
        for index in sorted(remove, reverse=True):
            edited = remove_entry(edited, _LIST, index)
        understood = read_yaml(edited).value == wanted
    except YamlError:
        understood = False
    if not understood:  # such as where one entry refers to another one's anchor
        raise PoolEditError(f"the communities in {path} are written in a way that is not edited here; edit it by hand")
    try:
        pool = parse_pool(path, edited)
    except PoolFileError as error:
        raise PoolEditError(f"{path} would be no pool any more, so it stays as it is:\n{error}") from error
    mark = b"\xef\xbb\xbf" if before.startswith(b"\xef\xbb\xbf") else b""
    return _Edit(path, before, mark + edited.encode(), pool)


def _replace(path: Path, before: bytes, after: bytes) -> None:
    """Replace a file in one step, by one of the same mode."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    part = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(after)
            file.flush()
            os.fsync(file.fileno())
        shutil.copymode(path, part)
        if path.read_bytes() != before:
            raise PoolEditError(f"{path} was changed by somebody else just now; try again")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
