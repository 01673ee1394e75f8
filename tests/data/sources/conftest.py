"""What the tests of public datasets share: small made-up files in their layouts, and a hub without a network."""

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pytest

WriteCSV = Callable[[str, Sequence[Mapping[str, str]]], Path]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache of the test's own, so that nothing that this machine has fetched gets in; its folder."""
    folder = tmp_path / "hub-cache"
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    return folder


@pytest.fixture
def cache_dataset(empty_cache: Path) -> Callable[[str], Path]:
    """Makes an empty snapshot of a dataset in the cache, and gives its folder."""

    def make(repo_id: str) -> Path:
        home = empty_cache / f"datasets--{repo_id.replace('/', '--')}"
        (home / "refs").mkdir(parents=True)
        (home / "refs" / "main").write_text("c0ffee")
        (home / "snapshots" / "c0ffee").mkdir(parents=True)
        return home / "snapshots" / "c0ffee"

    return make


@pytest.fixture
def write_csv(tmp_path: Path) -> WriteCSV:
    """Writes rows as a CSV file below a folder, and gives the folder."""

    def write(name: str, rows: Sequence[Mapping[str, str]]) -> Path:
        path = tmp_path / "dataset" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        return tmp_path / "dataset"

    return write


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that stands for the hub: `load_dataset`, the real one, finds `owner/name` in there."""
    load, folder = datasets.load_dataset, tmp_path / "hub"

    def redirected(repo_id: str, **options: Any) -> Any:
        return load(str(folder / repo_id), cache_dir=str(tmp_path / "prepared"), **options)

    monkeypatch.setattr(datasets, "load_dataset", redirected)
    return folder
