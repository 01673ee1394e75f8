"""The benchmark of tracking evaluates with and without, in a store of its own, and shows the ratio and its target."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.slow
def test_quick_run_tracks_every_other_round_and_prints_the_ratio(
    benchmark: Any,
    cells: Callable[[str], list[str]],
    store: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    module = benchmark("tracking")
    monkeypatch.setattr(module, "SHARE", 1.0)
    before = (store / "mlflow.db").read_bytes()
    code = module.main(["--quick", "--lm", "waiting"])

    printed = capsys.readouterr()
    assert code == os.EX_OK
    assert "waiting: " in printed.err
    rows = {row[0]: row for row in map(cells, printed.out.splitlines()) if row[0].startswith("seconds")}
    assert rows["seconds"][4] == "≤ 1.05"
    assert float(rows["seconds"][3]) > 0
    assert "12 rows, waiting LM, 100% of the rows traced" in printed.out
    assert (store / "mlflow.db").read_bytes() == before
    assert os.environ["MLFLOW_TRACKING_URI"] == f"sqlite:///{store / 'mlflow.db'}"
