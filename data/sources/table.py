"""CSV files of datasets: which they are in a folder, their rows, and cells that hold Python lists.

Cells stay texts: what a survey calls "None" or "1.0" is no missing value and no number.
"""

import ast
import csv
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any


def find_csv(place: Path, files: Sequence[str]) -> list[Path]:
    """Find the files of a dataset.

    Args:
        place: One of the files, or a folder that holds them all, at whatever depth.
        files: Their paths, or patterns of them such as `data/*.csv`.

    Raises:
        ValueError: One of them is not there.
    """
    if place.is_file():
        return [place]
    found: list[Path] = []
    for file in files:
        paths = sorted(place.rglob(file)) or sorted(place.glob(Path(file).name))
        if not paths:
            raise ValueError(f"{place} holds no {file}; give the file, or the folder as it was published")
        found += paths
    return found


def read_csv(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """Yield the rows of CSV files, one file after the other.

    Raises:
        ValueError: A file lacks one of the columns, is not UTF-8, or is no CSV.
        OSError: A file cannot be read.
    """
    for path in paths:
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.DictReader(file, restval="")
                _check_columns(path, reader.fieldnames or (), columns)
                yield from reader
        except (UnicodeDecodeError, csv.Error) as error:
            raise ValueError(f"{path} is no CSV file in UTF-8 ({error}); get it anew") from error


def literal(text: str) -> Any:
    """Read a cell that holds a Python list or dictionary; one that cannot be read comes back as it is."""
    try:
        return ast.literal_eval(text.strip())
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def _check_columns(path: Path, found: Sequence[str], columns: Sequence[str]) -> None:
    if missing := [column for column in columns if column not in found]:
        raise ValueError(f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(found) or 'none'}")
