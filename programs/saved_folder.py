"""A folder of JSON files, written whole or not at all.

This file knows files; it must not know what is in them.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from .errors import SavedProgramError


def read_json(file: Path) -> Any:
    """Read one file of a saved folder.

    Raises:
        SavedProgramError: It is not there, it cannot be read, or it is not JSON of Unicode texts.
    """
    try:
        found = json.loads(file.read_bytes())
        _check_texts(found)
        return found
    except (FileNotFoundError, NotADirectoryError) as error:
        raise SavedProgramError(f"{file.parent} is no saved program: there is no {file.name} in it") from error
    except OSError as error:
        raise SavedProgramError(
            f"{file} cannot be read ({error.strerror}), so there is no program to load; it must be a file that may be"
            " read, as `program.save` writes it"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SavedProgramError(f"{file} is damaged: it is not JSON of Unicode texts ({error})") from error


def _check_texts(data: Any, *place: str) -> None:
    """Check that every text could be sent to an LM: JSON can spell halves of characters, which are no Unicode.

    Raises:
        ValueError: One could not; the message names its entry, by its path.
    """
    if isinstance(data, str):
        try:
            data.encode()
        except UnicodeEncodeError as error:
            half = f"U+{ord(data[error.start]):04X} at character {error.start + 1}"
            raise ValueError(f"{'.'.join(place) or 'it'} holds {half}, half of a character") from error
    elif isinstance(data, dict):
        for name, value in data.items():
            _check_texts(name, *place)
            _check_texts(value, *place, name)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            _check_texts(value, *place, str(number))


def write_folder(folder: Path, files: Mapping[str, Any]) -> None:
    """Write data as files in a folder; a folder of such files that is there is replaced when the new one is complete.

    Args:
        folder: Its parents are made where they are missing.
        files: JSON data by file name.

    Raises:
        FileExistsError: There is something else; it is left as it is.
        SavedProgramError: Something is not JSON data.
    """
    folder = folder.resolve()
    encoded = {name: _encode(name, data) for name, data in files.items()}
    _check_replaceable(folder, files)
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = folder.with_name(f".{folder.name}.{uuid4().hex}.new")
    try:
        fresh.mkdir()
        for name, content in encoded.items():
            (fresh / name).write_bytes(content)
        _put_in_place(fresh, folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _encode(name: str, data: Any) -> bytes:
    try:
        return f"{json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()
    except (TypeError, ValueError) as error:
        raise SavedProgramError(
            f"{name} cannot be saved: something in it, perhaps in a demo, is not JSON data ({error})"
        ) from error


def _check_replaceable(folder: Path, files: Mapping[str, Any]) -> None:
    if not folder.exists():
        return
    inside = {entry.name for entry in folder.iterdir()} if folder.is_dir() else None
    if inside is None or (inside and inside != set(files)):
        raise FileExistsError(f"{folder} is there and is no saved program; it is left as it is. Choose another path")


def _put_in_place(fresh: Path, folder: Path) -> None:
    """Rename; no file system swaps folders in one step, so a former one steps aside and returns if that fails."""
    if not folder.exists():
        fresh.rename(folder)
        return
    former = fresh.with_suffix(".old")
    folder.rename(former)
    try:
        fresh.rename(folder)
    except OSError:
        former.rename(folder)
        raise
    shutil.rmtree(former)
