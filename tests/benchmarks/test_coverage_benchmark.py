"""The benchmark of coverage compares at equal length, and runs every method on the real LM."""

import json
import os
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def coverage(benchmark: Any) -> Any:
    return benchmark("coverage")


def test_every_method_stands_with_its_length_and_the_target_is_judged(
    coverage: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    dogs = {"situation": "Dogs", "vrd": ["Care"], "explanation": ["Dogs can suffer pain."], "input": "Dogs?", "id": 1}
    taxes = {"situation": "Tax", "vrd": ["Duty"], "explanation": ["Taxes are a duty."], "input": "Tax?", "id": 2}
    (tmp_path / coverage.FILE).write_text(json.dumps([dogs, taxes]))
    monkeypatch.setenv("MODPLURAL_BENCHMARKS", str(tmp_path))
    monkeypatch.setattr(coverage, "SITUATIONS", 2)
    good = {"Dogs?": "Dogs can suffer pain.", "Tax?": "Taxes are a duty."}

    def answer(judged: Any) -> int:
        said = {coverage.BAR: lambda query: "The sky is blue today.", coverage.JUDGED: judged}
        monkeypatch.setattr(
            coverage, "responses", lambda base, queries, progress: {m: list(map(f, queries)) for m, f in said.items()}
        )
        return int(coverage.main([]))

    assert answer(good.get) == 0
    printed = capsys.readouterr().out
    assert max(map(len, printed.splitlines())) <= 100
    assert all(word in printed for word in ("prompted", "adapters", "joined", "embedding:", "1.000", "target 1.10"))
    assert answer(lambda query: "The sky is blue today.") == 1


def test_equal_length_takes_whole_sentences_from_every_community_in_turn(coverage: Any) -> None:
    texts = ["One two three. Four five six.", "Seven eight nine. Ten eleven twelve."]

    assert coverage.shortened(texts, 6) == "One two three. Seven eight nine."
    assert coverage.shortened(texts, 8) == "One two three. Seven eight nine."
    assert coverage.shortened(texts, 9) == "One two three. Seven eight nine. Four five six."
    assert coverage.shortened(texts, 2) == ""


def test_it_says_which_file_is_missing(
    coverage: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("MODPLURAL_BENCHMARKS", raising=False)
    assert coverage.main([]) == os.EX_NOINPUT
    assert "MODPLURAL_BENCHMARKS names the folder" in capsys.readouterr().err
