"""The engine's benchmark runs, shows every figure and asks both ways the same; how fast they are is not judged here."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def roomy_model(tiny_model: Path, tmp_path: Path) -> Path:
    """The tiny model with room for the benchmark's prompts, which are long in its tokens."""
    folder = shutil.copytree(tiny_model, tmp_path / "roomy")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 2048}))
    return folder


def test_quick_run_prints_every_figure_beside_its_target(
    benchmark: Any, roomy_model: Path, cells: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = benchmark("engine").main(["--quick", "--model", str(roomy_model)])

    printed = capsys.readouterr().out
    assert code == os.EX_OK
    assert max(map(len, printed.splitlines())) <= 100
    rows = {row[0]: row for row in map(cells, printed.splitlines()) if len(row) == 6 and row[0]}
    targets = {name: row[4] for name, row in rows.items()}
    assert targets == {
        "generation, tokens/s": "≥ 8",
        "option distributions/s": "≥ 12",
        "over all option orders": "",
        "decoding 6 rows, tokens/s": "≥ 0.75",
        "weights, MB": "≤ 1.2",
        "resident memory, MB": "≤ 1.2",
    }
    assert all(float(row[3]) > 0 for row in rows.values())


def test_both_ways_answer_the_same_prompts_alike(benchmark: Any, roomy_model: Path, tmp_path: Path) -> None:
    workload = benchmark("workload").QUICK
    with benchmark("figures").progress_bars(benchmark("rich.console").Console(quiet=True)) as progress:
        results = benchmark("against_plain").measure(str(roomy_model), "float32", workload, tmp_path / "a", progress)

    assert set(results.generation.ours) == set(workload.tasks)
    assert {task.adapter for task in results.generation.plain} == set(benchmark("workload").ADAPTERS)
    assert len({plain.text for plain, _ in results.generation.pairs}) > 1
    for plain, ours in results.generation.pairs:
        assert plain == ours
    for plain, ours in results.distributions.pairs:
        assert plain == pytest.approx(ours, abs=1e-4)


def test_shape_runs_on_a_small_stand_in(benchmark: Any, capsys: pytest.CaptureFixture[str]) -> None:
    code = benchmark("engine").main(["--shape", "tiny"])

    printed = capsys.readouterr().out
    assert code == os.EX_OK
    for part in ("six adapters", "share", "memory bandwidth", "weights, with six adapters", "generation", "option dis"):
        assert part in printed


def test_large_shape_is_refused_without_cuda(
    benchmark: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)

    assert benchmark("engine").main(["--shape", "7b"]) == os.EX_UNAVAILABLE
    assert "needs a CUDA device" in capsys.readouterr().out
