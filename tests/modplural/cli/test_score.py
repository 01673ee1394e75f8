"""`modplural score` over files that other tools could have written."""

import json
import math
from collections.abc import Callable, Sequence
from importlib.resources import as_file
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import Result

from modplural.data import sample
from modplural.optimizers import scorer_names
from modplural.optimizers.metrics import PairwiseJudge, Scorer
from modplural.programs.engines.fake import fake_lm

Run = Callable[..., Result]
Rows = list[dict[str, Any]]


def filled(path: Path, task: str, answer: Callable[[dict[str, Any], int], object], limit: int = 12) -> Path:
    key = "output" if task in ("overton-vk", "overton-judge", "steerable-vk") else "pred_distribution"
    with as_file(sample(task)) as file:
        rows: Rows = json.loads(file.read_bytes())[:limit]
    path.write_text(json.dumps([{**row, key: answer(row, number)} for number, row in enumerate(rows)]))
    return path


def even(row: dict[str, Any], number: int) -> list[float]:
    return [1 / len(row["options"])] * len(row["options"])


def gold(row: dict[str, Any], number: int) -> list[float]:
    return list(row["gold_distribution"])


class WordScorer:
    """A sentence follows from a text that holds its first word."""

    name = "embedding:words"

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Any:
        return np.array([[float(one.split()[0] in premise) for one in hypotheses] for premise in premises])


def test_figures_say_how_many_and_how_sure(run: Run, tmp_path: Path) -> None:
    result = run("score", filled(tmp_path / "a.json", "distributional-moralchoice", even))
    assert (result.exit_code, result.stderr) == (0, "")
    first, *lines = result.stdout.splitlines()
    assert first == f"{tmp_path / 'a.json'}: 12 records of distributional-moralchoice, 12 answered"
    (distance,) = (line for line in lines if line.startswith("Jensen-Shannon distance"))
    value, low, high, n = (part.strip("[],") for part in distance.split()[2:])
    assert float(low) < float(value) < float(high)
    assert n == "12"
    assert any(line.startswith("worst by Jensen-Shannon distance") for line in lines)


def test_scripts_get_everything(run: Run, tmp_path: Path) -> None:
    def answer(row: dict[str, Any], number: int) -> object:
        return [row["label"], f"Answer: {row['label']}", "who knows", None][number % 4]

    file = filled(tmp_path / "a.json", "steerable-vk", answer)
    data = json.loads(run("score", file, "--task", "steerable-vk", "--json").stdout)
    assert (data["records"], data["answered"], data["missing"]) == (12, 6, [3, 7, 11])
    assert [one["index"] for one in data["unreadable_answers"]] == [2, 6, 10]
    assert data["figures"]["accuracy"]["value"] == 1
    assert data["figures"]["share answered"]["value"] == 0.5
    assert [one["score"] for one in data["scores"][:4]] == [1, 1, None, None]
    assert sum(figure["n"] for figure in data["by_attribute"].values()) == 6
    shown = run("score", file).stdout
    assert "6 answered, 3 without an answer, 3 with an unreadable answer" in shown
    assert "no option's letter answers in 'who knows'" in shown


def test_two_files_are_compared_on_the_same_records(run: Run, tmp_path: Path) -> None:
    ours = filled(tmp_path / "ours.json", "distributional-globalopinionqa", gold)
    theirs = filled(tmp_path / "theirs.json", "distributional-globalopinionqa", even, limit=10)
    result = run("score", ours, "--baseline", theirs)
    assert "on 10 records answered in both: Jensen-Shannon distance -0." in result.stdout
    assert "better; 2 records are in one file only" in result.stdout
    comparison = json.loads(run("score", ours, "--baseline", theirs, "--json").stdout)["comparison"]
    assert (comparison["n"], comparison["only_here"], comparison["only_in_baseline"]) == (10, 2, 0)
    assert comparison["difference"] < 0 < comparison["favours_first"] <= 1
    assert "p = 1, the same" in run("score", ours, "--baseline", ours).stdout


def test_a_scorer_is_named_beside_its_figures(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def named(name: str) -> Scorer:
        asked.append(name)
        return WordScorer()

    monkeypatch.setattr(scorer_names, "scorer_named", named)
    file = filled(tmp_path / "a.json", "overton-vk", lambda row, number: row["explanation"][0])
    result = run("score", file, "--scorer", "nli:some/model")
    assert asked == ["nli:some/model"]
    (line,) = (line for line in result.stdout.splitlines() if line.startswith("value coverage"))
    assert line.split()[-1] == "12"
    assert "Scored by embedding:words; figures of different scorers do not compare." in result.stdout


def test_responses_are_judged_against_the_baseline(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def likelihood(prompt: str, continuation: str) -> float:
        better_first = prompt.rfind("wise") < prompt.rfind("dull")
        return math.log(0.9 if better_first == (continuation.strip() in ("A", "The first response")) else 0.1)

    judge = PairwiseJudge(fake_lm(likelihoods=likelihood, name="judge"), "texts")
    monkeypatch.setattr(scorer_names, "judge_named", lambda name: judge)
    ours = filled(tmp_path / "ours.json", "overton-judge", lambda row, number: "wise", limit=3)
    theirs = filled(tmp_path / "theirs.json", "overton-judge", lambda row, number: "dull", limit=3)
    told = ("--task", "overton-judge", "--scorer", "judge:any", "--baseline", theirs, "--json")
    figures = json.loads(run("score", ours, *told).stdout)["figures"]
    assert (figures["win score"]["value"], figures["win"]["value"]) == (1, 1)
    assert figures["win score"]["scorer"].startswith("judge:fake/judge")

    other_words = [{**row, "input": f"Please: {row['situation']}"} for row in json.loads(theirs.read_bytes())]
    other_words[1]["output"] = None
    theirs.write_text(json.dumps(other_words))
    figures = json.loads(run("score", ours, *told).stdout)["figures"]
    assert (figures["win score"]["value"], figures["win score"]["n"]) == (1, 2)
    assert (figures["share answered"]["value"], figures["share answered"]["n"]) == (1, 3)
    theirs.write_text(json.dumps([{**row, "output": None} for row in other_words]))
    result = run("score", ours, *told)
    assert result.exit_code == 2
    assert "theirs.json has no response to any record of" in result.stderr


def test_few_situations_have_no_p_value(run: Run, tmp_path: Path) -> None:
    task = "distributional-moralchoice"
    ours, theirs = (
        filled(tmp_path / f"{name}.json", task, answer, limit=4) for name, answer in (("ours", gold), ("theirs", even))
    )
    said = run("score", ours, "--baseline", theirs).stdout
    assert "4 situations, too few for a p-value, better" in said
    compared = json.loads(run("score", ours, "--baseline", theirs, "--json").stdout)["comparison"]
    assert compared["p_value"] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--task", "overton-judge"], "overton-judge compares responses; say with --baseline FILE"),
        (["--scorer", "rouge"], "unknown scorer 'rouge'; the scorers are embedding"),
        (["--task", "overtone"], "unknown task 'overtone'"),
        (["--baseline", "nowhere.json"], "nowhere.json: No such file"),
    ],
)
def test_wrong_usage_says_what_to_write(run: Run, tmp_path: Path, arguments: list[str], said: str) -> None:
    result = run("score", filled(tmp_path / "a.json", "overton-vk", lambda row, number: " ", limit=2), *arguments)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_scorer_where_none_is_needed_is_refused(run: Run, tmp_path: Path) -> None:
    file = filled(tmp_path / "a.json", "distributional-moralchoice", even)
    result = run("score", file, "--scorer", "nli")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "distributional-moralchoice needs no scorer" in result.stderr


def test_a_file_without_any_answer_fails(run: Run, tmp_path: Path) -> None:
    result = run("score", filled(tmp_path / "a.json", "steerable-vk", lambda row, number: None))
    assert result.exit_code == 1
    assert "12 without an answer" in result.stdout
    assert "holds no answer that could be scored" in result.stderr


def test_what_a_tool_wrote_is_no_markup(run: Run, tmp_path: Path) -> None:
    result = run("score", filled(tmp_path / "a.json", "steerable-vk", lambda row, number: "[red]\x1b[31mhm[/]"))
    assert "[red]" in result.stdout
    assert "\x1b" not in result.stdout
