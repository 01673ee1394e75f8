"""What the tests of benchmarks share: scripts as modules, and what stands in the tables that they print."""

import importlib
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Import a script's module by name, as a run from its folder does."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in ("OMP_WAIT_POLICY", "OMP_NUM_THREADS"):
        monkeypatch.setenv(name, os.environ.get(name, "1"))
    before = set(sys.modules)
    yield importlib.import_module
    for name in set(sys.modules) - before:
        if (BENCHMARKS / f"{name}.py").exists():
            del sys.modules[name]


@pytest.fixture
def cells() -> Callable[[str], list[str]]:
    """Parts a line of a table into its cells."""
    return lambda line: [cell.strip() for cell in line.strip("│┃").replace("┃", "│").split("│")]
