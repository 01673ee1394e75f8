"""The folder that an adapter is made for: one training of it at a time, and nothing in it is lost unasked.

This file knows folders; it must not know what an adapter is made of.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from ...programs.engines.weights import ADAPTER
from .errors import TrainingError


@dataclass(frozen=True)
class AdapterFolder:
    """Where an adapter goes.

    Attributes:
        path: The folder.
        overwrite: Whether an adapter that is in it may be replaced.
    """

    path: Path
    overwrite: bool

    def check(self) -> None:
        """See that an adapter may be put there.

        Raises:
            FileExistsError: There is an adapter and it may not be replaced, or something else is there.
        """
        if self.path.exists() and not self.path.is_dir():
            raise FileExistsError(
                f"{self.path} is a file, where a folder for the adapter is needed; name another output"
            )
        if not self.path.exists() or not any(self.path.iterdir()):
            return
        if not (self.path / ADAPTER.config).is_file():
            raise FileExistsError(
                f"{self.path} is not empty and holds no adapter; what is in it would be lost: name another output"
            )
        if not self.overwrite:
            raise FileExistsError(
                f"{self.path} holds an adapter, which would be lost; name another output, or ask to overwrite it"
            )

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep every other training from this folder, whatever its settings, and see that it is still free.

        Folders above it are made for that; those that are empty in the end are removed again.

        Raises:
            TrainingError: Another process trains this adapter.
            FileExistsError: As `check` says.
        """
        file = self.path.with_name(f".{self.path.name}.training.lock")
        made = [folder for folder in self.path.parents if not folder.exists()]
        file.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(file, timeout=0)
        try:
            lock.acquire()
        except Timeout as error:
            raise TrainingError(
                f"another process trains {self.path} right now; wait for it, or name another output"
            ) from error
        try:
            self.check()  # another training may have ended just before
            yield
        finally:
            file.unlink(missing_ok=True)  # while it is held: afterwards it may be somebody else's
            lock.release()
            with suppress(OSError):  # what is in one is to stay
                for folder in made:
                    folder.rmdir()

    def work(self, facts: Mapping[str, Any]) -> Path:
        """The folder beside it for what the training of these facts has not finished."""
        digest = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:12]
        return self.path.with_name(f".{self.path.name}.training-{digest}")

    def put(self, made: Path) -> None:
        """Move a finished adapter there, from the same file system.

        Raises:
            FileExistsError: As `check` says; the adapter stays where it is.
        """
        self.check()  # a training takes minutes, and others write folders too
        old = made.with_name("replaced")
        if self.overwrite and self.path.exists():
            shutil.rmtree(old, ignore_errors=True)
            self.path.rename(old)
        made.rename(self.path)
        shutil.rmtree(old, ignore_errors=True)
