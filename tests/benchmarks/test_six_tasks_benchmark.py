"""The benchmark of the six tasks draws from test halves, and shows every method of every task."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from modplural.data import Shares, read_records, split_records
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.pool import CommunityPool


@pytest.fixture
def six_tasks(benchmark: Any) -> Any:
    return benchmark("six_tasks")


@pytest.fixture
def situations(tmp_path: Path) -> Path:
    rows = [
        {"id": n, "situation": f"Thing {n}", "vrd": ["Care"], "explanation": ["It hurts."], "input": f"{n}?"}
        for n in range(60)
    ]
    path = tmp_path / "situations.json"
    path.write_text(json.dumps(rows))
    return path


def test_records_are_drawn_from_the_test_half_by_the_seed(six_tasks: Any, situations: Path) -> None:
    half = split_records(read_records(situations, "overton-vk"), seed=3, shares=Shares(0.3, 0.2, 0.5)).test
    drawn = six_tasks.drawn(situations, "overton-vk", 10, seed=3)
    assert len(drawn.records) == 10
    assert all(half.records[index] == record for index, record in drawn.records.items())
    assert drawn.digest == half.digest
    assert drawn.records == six_tasks.drawn(situations, "overton-vk", 10, seed=3).records
    assert drawn.records != six_tasks.drawn(situations, "overton-vk", 10, seed=4).records
    assert len(six_tasks.drawn(situations, "overton-vk", 10**3, seed=3).records) == len(half.records)


def test_overton_is_shown_by_two_syntheses(six_tasks: Any, situations: Path) -> None:
    class Built:
        base = fake_lm({"": "Well."})
        pool = CommunityPool([CommunityLM("care", fake_lm({"": "Care."}), persona="You care.")])

    programs = six_tasks.plan(Built, six_tasks.drawn(situations, "overton-vk", 2, seed=0)).programs
    assert list(programs) == ["vanilla", "prompted", "mixture_of_experts", "modular", "modular, extractive"]
    assert [programs[name].synthesis.value for name in list(programs)[3:]] == ["joint", "extractive"]


def test_every_task_is_there(six_tasks: Any) -> None:
    from modplural.data import TASKS

    assert list(six_tasks.FILES) == list(TASKS)


def test_it_says_which_files_are_missing(
    six_tasks: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MODPLURAL_BENCHMARKS", str(tmp_path))
    assert six_tasks.main([]) == os.EX_NOINPUT
    assert "overton_valuekaleidoscope.json" in capsys.readouterr().err
