"""The benchmark of loading counts what it reads and fails where it is too slow."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def loading(benchmark: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The script, with one run over a folder of one file with three records."""
    module = benchmark("loading")
    record = {"id": 1, "question": "Tea?", "options": ["Yes", "No"], "attribute": "Thule", "gold_distribution": [1, 0]}
    (tmp_path / "survey.json").write_text(json.dumps([record] * 3))
    monkeypatch.setenv("MODPLURAL_BENCHMARKS", str(tmp_path))
    monkeypatch.setattr(module, "RUNS", 1)
    return module


def test_records_are_counted_and_timed(loading: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert loading.main() == os.EX_OK
    assert capsys.readouterr().out.startswith("1 files, 3 records: ")


def test_a_limit_that_is_passed_fails(loading: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "LIMIT", 0.0)
    assert loading.main() == os.EX_SOFTWARE


@pytest.mark.parametrize(("folder", "said"), [(None, "it is not set"), ("empty", "empty holds no JSON file")])
def test_a_missing_folder_is_named(
    folder: str | None,
    said: str,
    loading: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MODPLURAL_BENCHMARKS")
    if folder:
        monkeypatch.setenv("MODPLURAL_BENCHMARKS", str(tmp_path / folder))
    assert loading.main() == os.EX_NOINPUT
    assert said in capsys.readouterr().err
