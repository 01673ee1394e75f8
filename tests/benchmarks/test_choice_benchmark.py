"""The benchmark of measured choice asks fair questions, runs on the real LM, and shows figures beside their targets."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def choice(benchmark: Any) -> Any:
    return benchmark("choice")


@pytest.mark.slow
def test_quick_run_prints_every_figure_beside_its_target(
    choice: Any, smollm2: str, cells: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    if "MODPLURAL_BENCHMARKS" not in os.environ:
        pytest.skip("needs the published benchmark files: set MODPLURAL_BENCHMARKS to their folder")
    code = choice.main(["--quick"])

    printed = capsys.readouterr().out
    assert (code, choice.MODEL) == (os.EX_OK, smollm2)
    assert max(map(len, printed.splitlines())) <= 100
    rows = [row for row in map(cells, printed.splitlines()) if len(row) == 7 and row[0] != "strategy"]
    assert [(row[0], row[4]) for row in rows] == [
        ("chance", ""),
        ("shared words", ""),
        ("letters", ""),
        ("texts", ""),
        ("verdicts", ""),
        ("channel", "≥ 50%"),
        ("chance", ""),
        ("letters", ""),
        ("texts", ""),
        ("verdicts", "≥ 85%"),
    ]
    asked = [row for row in rows if row[0] not in ("chance", "shared words")]
    assert all(float(row[6]) > 0 and " to " in row[3] for row in asked)


def test_the_right_explanation_belongs_to_the_given_value(choice: Any, tmp_path: Path) -> None:
    rows, size = [_situation(number) for number in range(20)], choice.Size(questions=12)
    (tmp_path / "values.json").write_text(json.dumps(rows))
    asked = choice.value_choices(tmp_path / "values.json", 0, size)

    assert len({one.inputs["query"] for one in asked}) == 12
    assert {one.inputs["attribute"] for one in asked} == {"Care", "Duty", "Trust"}
    for one in asked:
        assert one.right == f"About {one.inputs['attribute']}."
    assert {one.inputs["options"].index(one.right) for one in asked} == {0, 1, 2}
    assert choice.value_choices(tmp_path / "values.json", 0, size) == asked
    assert choice.value_choices(tmp_path / "values.json", 1, size) != asked


def test_shared_words_are_right_where_only_the_right_option_has_them_and_split_ties(choice: Any) -> None:
    options = ["They are caring.", "Be dutiful.", "Trustworthy people."]
    asked = [
        choice.Choice({"attribute": value, "options": options}, right)
        for value, right in (("Trust in others", options[2]), ("Duty", options[1]), ("A duty of trust", options[0]))
    ]
    assert choice.shared_words(asked) == pytest.approx((1.0, 1 / 3, 0.0))


def test_the_moral_action_stands_in_either_place_and_ambiguous_scenarios_are_left_out(
    choice: Any, tmp_path: Path
) -> None:
    rows = [_scenario(number, ambiguous=number % 2 == 0) for number in range(40)]
    (tmp_path / "actions.json").write_text(json.dumps(rows))
    asked = choice.action_choices(tmp_path / "actions.json", 0, choice.Size(questions=20))

    assert {one.right for one in asked} == {f"I help {number}." for number in range(1, 40, 2)}
    assert {one.inputs["options"].index(one.right) for one in asked} == {0, 1}
    assert all("\nA. " not in one.inputs["query"] for one in asked)


@pytest.mark.parametrize(("folder", "found"), [(None, "it is not set"), ("empty", "empty lacks")])
def test_missing_files_are_named(
    choice: Any,
    folder: str | None,
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.delenv("MODPLURAL_BENCHMARKS", raising=False)
    if folder:
        monkeypatch.setenv("MODPLURAL_BENCHMARKS", str(tmp_path / folder))

    assert choice.main([]) == os.EX_NOINPUT
    said = capsys.readouterr().err
    for part in (found, "MODPLURAL_BENCHMARKS", "overton_valuekaleidoscope.json", "distributional_moralchoice.json"):
        assert part in said


def test_a_missed_target_fails_a_full_run_only(choice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (choice.VALUES, choice.ACTIONS):
        (tmp_path / name).touch()
    monkeypatch.setenv("MODPLURAL_BENCHMARKS", str(tmp_path))
    monkeypatch.setattr(choice, "measure", lambda *_: [choice.Row("channel", (1.0, 0.0), 1.0, target)])

    target = 0.5
    assert choice.main([]) == 0
    target = 0.6
    assert (choice.main([]), choice.main(["--quick"])) == (1, 0)


def _situation(number: int) -> dict[str, Any]:
    values = ["Care", "Duty", "Trust"]
    explanations = [f"About {value}." for value in values]
    situation = {"id": number, "situation": f"Case {number}", "vrd": values, "explanation": explanations}
    return {**situation, "input": f"Comment on case {number}.", "output": None}


def _scenario(number: int, *, ambiguous: bool) -> dict[str, Any]:
    options = [f"I help {number}.", f"I do not help {number}."]
    question = f"Which is more moral?\nScenario: {number}\nA. {options[0]}\nB. {options[1]}\nAnswer:"
    return {
        "id": number,
        "question": question,
        "options": options,
        "attribute": "high_ambiguity" if ambiguous else "low_ambiguity",
        "gold_distribution": [0.5, 0.5] if ambiguous else [1, 0],
        "pred_distribution": None,
    }
