"""What a public dataset is: where it is at home, on what terms, and how its rows are got.

This file knows no dataset; each of them fills one of these in.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from ..records import RecordFileError
from .hub import HubTable
from .table import find_csv, read_csv

Row = dict[str, Any]
"""A record in the common format, not yet checked."""


class SourceError(RecordFileError):
    """A dataset cannot be had, or is not laid out as published; the message says what to do about it."""


class Convert(Protocol):
    """Turns the rows of a dataset's table into those of a task."""

    def __call__(self, table: Iterable[Mapping[str, str]], task: str) -> Iterator[Row]:
        """Yield the rows; what cannot be read is passed on as it is, for the record type to refuse."""
        ...


@dataclass(frozen=True)
class Source(ABC):
    """A public dataset.

    Attributes:
        name: Such as `moralchoice`.
        tasks: The tasks that it serves.
        home: Its page.
        licence: Its terms, in a few words.
        size: How much there is, in a few words.
    """

    name: str
    tasks: tuple[str, ...]
    home: str
    licence: str
    size: str

    @property
    def hub_id(self) -> str | None:
        """Its id on the Hugging Face hub, where it has one."""
        return None

    @property
    def gated(self) -> bool:
        """Whether the hub asks to accept terms first."""
        return False

    @property
    @abstractmethod
    def layout(self) -> str:
        """The files that `rows` reads from a folder, in words."""

    def cached(self) -> bool:
        """Say whether the local cache of the hub has it; asks nobody."""
        return False

    @abstractmethod
    def remedy(self) -> str:
        """Say how to get it."""

    @abstractmethod
    def rows(self, task: str, place: Path | None = None) -> Iterator[Row]:
        """Yield the rows of a task.

        Args:
            task: One of `tasks`.
            place: A file or folder in the dataset's own layout; the hub where it is None.

        Raises:
            SourceError: It cannot be had, or is not laid out as published.
        """


@dataclass(frozen=True)
class TableSource(Source):
    """A dataset of CSV files on the hub.

    Attributes:
        table: The files and their columns.
        convert: From their rows to those of a task.
    """

    table: HubTable
    convert: Convert

    @property
    def hub_id(self) -> str:
        """The id of the hub's repository."""
        return self.table.repo_id

    @property
    def gated(self) -> bool:
        """Whether the hub asks to accept terms first."""
        return self.table.gated

    @property
    def layout(self) -> str:
        """Its files."""
        return " and ".join(self.table.files)

    def cached(self) -> bool:
        """Say whether the local cache of the hub has its files."""
        return self.table.cached() is not None

    def remedy(self) -> str:
        """Name the terms to accept and the token where there are, and the files to give instead."""
        accept = f"accept its terms at {self.home} and set HF_TOKEN (or run `hf auth login`); then " * self.gated
        return (
            f"{accept}load it once with a network and HF_HUB_OFFLINE unset, after `pip install 'modplural[train]'`;"
            f" or give a file or folder with its {self.layout}"
        )

    def rows(self, task: str, place: Path | None = None) -> Iterator[Row]:
        """Convert the files of a folder, of the hub's cache, or of the hub."""
        return self.convert(self._table(place or self.table.cached()), task)

    def _table(self, place: Path | None) -> Iterator[Mapping[str, str]]:
        if place is None:
            yield from self._download()
            return
        try:
            yield from read_csv(find_csv(place, self.table.files), self.table.columns)
        except (ValueError, OSError) as error:
            raise SourceError(f"{self.name}: {error}") from error

    def _download(self) -> Iterator[Mapping[str, str]]:
        try:
            yield from self.table.download()
        except Exception as error:  # the hub's library raises whatever its parts and the network do
            said = f"{self.name}: {self.hub_id} cannot be read from the hub ({_reasons(error)})"
            raise SourceError(f"{said}. To get it, {self.remedy()}") from error


def _reasons(error: BaseException | None) -> str:
    """The first line of an error and of each that it came from: the library's own often says nothing."""
    lines = []
    while error is not None:
        lines.append(f"{type(error).__name__}: {error}".partition("\n")[0])
        error = error.__cause__
    return "; ".join(lines)
