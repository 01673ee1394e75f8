"""Scoring any tool's file, against scipy and by hand."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import jensenshannon

from modplural.optimizers.scoring import compare_files, score_file

ACTIONS = {"question": "What do I do?", "options": ["I stay.", "I go."]}


def scenario(number: int, gold: list[float], pred: object) -> dict[str, Any]:
    attribute = "low_ambiguity" if 1 in gold else "high_ambiguity"
    return {
        **ACTIONS,
        "id": number,
        "question": f"Scenario {number}?",
        "attribute": attribute,
        "gold_distribution": gold,
        "pred_distribution": pred,
    }


def stance(number: int, label: str, output: object, value: str = "Care") -> dict[str, Any]:
    texts = {"A": "Supports", "B": "Opposes", "C": "Either"}
    record = {"id": number, "situation": f"deed {number}", "vrd": value, "input": f"Does it support deed {number}?"}
    return {**record, "label": label, "label_text": texts[label], "output": output}


def write(path: Path, *records: dict[str, Any]) -> Path:
    path.write_text(json.dumps(records), encoding="utf-8")
    return path


def by_scipy(records: list[dict[str, Any]]) -> float:
    return float(np.mean([jensenshannon(one["pred_distribution"], one["gold_distribution"]) for one in records]))


def test_uniform_predictions_are_as_far_as_scipy_says(tmp_path: Path) -> None:
    records = [scenario(number, [1, 0] if number % 3 else [0.5, 0.5], [0.5, 0.5]) for number in range(30)]
    figure = score_file(write(tmp_path / "a.json", *records)).figures["Jensen-Shannon distance"]
    assert figure.value == pytest.approx(by_scipy(records), abs=1e-9)
    assert (figure.n, figure.value) == (30, pytest.approx(20 / 30 * 0.46450140402245893, abs=1e-9))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=6))
def test_any_predictions_are_as_far_as_scipy_says(
    tmp_path_factory: pytest.TempPathFactory, shares: list[tuple[float, float]]
) -> None:
    records = [scenario(i, [1 - gold, gold], [1 - pred, pred]) for i, (gold, pred) in enumerate(shares)]
    for record in records:
        record["attribute"] = "high_ambiguity"
    file = write(tmp_path_factory.mktemp("files") / "a.json", *records)
    with np.errstate(invalid="ignore"):
        distances = [jensenshannon(one["pred_distribution"], one["gold_distribution"]) for one in records]
    found = score_file(file).figures["Jensen-Shannon distance"].value
    # Of nearly equal distributions, scipy's root of what rounding leaves is itself no better than 1e-8.
    assert found == pytest.approx(float(np.nan_to_num(distances).mean()), abs=1e-7)


@pytest.mark.skipif(
    "MODPLURAL_BENCHMARKS" not in os.environ,
    reason="needs the published benchmark files: set MODPLURAL_BENCHMARKS to their folder",
)
def test_uniform_predictions_on_the_published_file(tmp_path: Path) -> None:
    published = Path(os.environ["MODPLURAL_BENCHMARKS"], "distributional_moralchoice.json")
    records = [{**one, "pred_distribution": [0.5, 0.5]} for one in json.loads(published.read_bytes())]
    figure = score_file(write(tmp_path / "a.json", *records)).figures["Jensen-Shannon distance"]
    assert figure.value == pytest.approx(by_scipy(records), abs=1e-9)
    assert figure.n == len(records)
    assert figure.value == pytest.approx(0.2334, abs=0.03)  # of the whole set, whose share of clear scenarios differs


def test_what_is_not_answered_is_counted_and_not_scored(tmp_path: Path) -> None:
    records = [scenario(0, [1, 0], [1, 0]), scenario(1, [1, 0], None), scenario(2, [1, 0], [7])]
    scored = score_file(write(tmp_path / "a.json", *records, {"id": 3}), "distributional-moralchoice")
    assert scored.answers.missing == (1,)
    assert [one.index for one in scored.answers.unreadable] == [2]
    assert [one.index for one in scored.records.bad] == [3]
    assert (scored.figures["Jensen-Shannon distance"].value, scored.figures["Jensen-Shannon distance"].n) == (0, 1)
    assert (scored.figures["share answered"].value, scored.figures["share answered"].n) == (pytest.approx(1 / 3), 3)


def test_stances_are_counted_by_value(tmp_path: Path) -> None:
    records = [stance(0, "A", "A"), stance(1, "B", "Answer: B"), stance(2, "B", "A.", "Duty"), stance(3, "C", "Hm")]
    scored = score_file(write(tmp_path / "a.json", *records))
    assert (scored.figures["accuracy"].value, scored.figures["accuracy"].n) == (pytest.approx(2 / 3), 3)
    assert {part: (figure.value, figure.n) for part, figure in scored.parts.items()} == {"Duty": (0, 1), "Care": (1, 2)}
    assert list(scored.parts) == ["Duty", "Care"]


def test_a_comparison_pairs_records_by_what_they_say(tmp_path: Path) -> None:
    ours = [stance(number, "A", "A") for number in range(4)]
    theirs = [{**stance(number, "A", "B"), "input": f"Another prompt {number}"} for number in (3, 2, 1, 9)]
    first, second = (
        score_file(write(tmp_path / name, *records)) for name, records in (("a.json", ours), ("b.json", theirs))
    )
    found = compare_files(first, second)
    assert (found.comparison.difference, found.comparison.n) == (1, 3)
    assert (found.only_first, found.only_second) == (1, 1)


def test_records_pair_however_their_numbers_are_written(tmp_path: Path) -> None:
    ours = [scenario(number, [0.7, 0.3], [0.5, 0.5]) | {"attribute": "high_ambiguity"} for number in range(3)]
    written = [float(np.float32(0.7)), float(np.float32(0.3))]
    theirs = [{**one, "id": str(one["id"]), "gold_distribution": written} for one in ours]
    first, second = (
        score_file(write(tmp_path / name, *records)) for name, records in (("a.json", ours), ("b.json", theirs))
    )
    assert compare_files(first, second).comparison.n == 3
    other = [{**one, "gold_distribution": [0.6, 0.4]} for one in ours]
    with pytest.raises(ValueError, match="no record in common"):
        compare_files(first, score_file(write(tmp_path / "c.json", *other)))


def test_records_that_are_the_same_pair_in_order(tmp_path: Path) -> None:
    first = score_file(write(tmp_path / "a.json", stance(0, "A", "A"), stance(0, "A", "B")))
    second = score_file(write(tmp_path / "b.json", stance(0, "A", "A"), stance(0, "A", "A")))
    found = compare_files(first, second)
    assert (found.comparison.difference, found.comparison.n) == (-0.5, 2)


def test_files_that_cannot_be_paired_are_refused(tmp_path: Path) -> None:
    first = score_file(write(tmp_path / "a.json", stance(0, "A", "A")))
    with pytest.raises(ValueError, match="no record in common"):
        compare_files(first, score_file(write(tmp_path / "b.json", stance(1, "A", "A"))))
    with pytest.raises(ValueError, match=r"c\.json holds records of distributional-moralchoice"):
        compare_files(first, score_file(write(tmp_path / "c.json", scenario(1, [1, 0], [1, 0]))))
