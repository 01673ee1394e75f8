"""The benchmark of evaluations asks the engine alone what the evaluation asked, and shows the ratio and its target."""

import os
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

import modplural
from modplural import CommunityLM, CommunityPool, fake_lm
from modplural.programs.building import BuiltPool
from modplural.programs.engines.fake import FakeEngine


def test_quick_run_asks_the_same_twice_and_prints_the_ratio(
    benchmark: Any,
    cells: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = fake_lm({"": "It depends."}, lambda prompt, text: -1.0)
    voice = fake_lm({"": "Kindness first."})
    built = BuiltPool(
        base, CommunityPool(CommunityLM(name, voice, persona=f"For {name}.") for name in ("care", "duty"))
    )
    monkeypatch.setattr(modplural, "open_pool", lambda source: built)
    code = benchmark("evaluation").main(["--quick"])

    printed = capsys.readouterr()
    assert code == os.EX_OK
    assert printed.err.startswith("24 rows, ")
    (row,) = [row for row in map(cells, printed.out.splitlines()) if row[0] == "rows/s"]
    assert row[4] == "≥ 0.8"
    assert float(row[3]) > 0
    assert isinstance(voice.engine, FakeEngine)
    # Six queries by two communities: once to warm up for three of them, and then by the evaluation and alone.
    assert sorted(Counter(voice.engine.prompts).values()) == [2] * 6 + [3] * 6
