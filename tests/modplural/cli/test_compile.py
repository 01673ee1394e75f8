"""`modplural compile`: estimate, trials, figures, resuming, and what is wrong usage."""

import json
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import dspy
import pytest
from typer.testing import Result

from modplural.data import load_task
from modplural.optimizers.compilation import PROGRAM, REPORT, REPORT_TEXT, STATE
from modplural.optimizers.versions import VersionError, find, versions
from modplural.optimizers.versions.registry import scores_with_rows
from modplural.programs.baselines import Vanilla
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.pool import CommunityPool

from . import conftest

Run = Callable[..., Result]


@pytest.fixture
def compile_mode(run: Run, pool_file: Path, store: Path, tmp_path: Path) -> Run:
    """Runs the command on a few records of the sample, in one folder, with a store of its own."""

    def compile_mode(*arguments: object, mode: str = "distributional", strategy: str = "measurement") -> Result:
        task = {"distributional": "distributional-moralchoice", "overton": "overton-vk"}[mode]
        fixed = ("--task", task, "--strategy", strategy, "--output", tmp_path / "compiled", "--limit", 5)
        pool = () if "--program" in arguments else ("--pool", pool_file)
        return run("compile", mode, *fixed, *pool, *arguments)

    return compile_mode


@pytest.fixture
def better(compile_mode: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A compilation whose winner is kept: what is right shows in how likely an option's own words are."""
    gold: dict[str, float] = {}
    for example in load_task("distributional-moralchoice").examples():
        gold |= example.gold_distribution

    def likelihood(prompt: str, continuation: str) -> float:
        return math.log(0.3 + 0.4 * gold.get(continuation.strip(), 0.5))  # right, and far too unsure

    monkeypatch.setattr(conftest, "likelihood", likelihood)
    return partial(compile_mode, "--limit", 15)


def test_a_mode_is_compiled_and_saved(compile_mode: Run, tmp_path: Path) -> None:
    result = compile_mode()
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith("Expected: up to ")
    assert "measurement: " in result.stderr
    for part in ("Jensen-Shannon distance", "dev", "test", f"The program: {tmp_path / 'compiled' / PROGRAM}"):
        assert part in result.stdout
    assert (tmp_path / "compiled" / PROGRAM).is_dir()
    assert "**The " in (tmp_path / "compiled" / REPORT_TEXT).read_text()


def test_the_same_command_goes_on_and_another_one_is_refused(compile_mode: Run, tmp_path: Path) -> None:
    assert compile_mode().exit_code == 0
    first = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert compile_mode().exit_code == 0
    again = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert again["trials"] == first["trials"]
    result = compile_mode(strategy="weights")
    assert result.exit_code == 2
    assert "belongs to another compilation: strategy was measurement, is weights" in result.stderr
    assert (tmp_path / "compiled" / STATE).exists()


def test_a_saved_program_is_compiled_further(compile_mode: Run, tmp_path: Path) -> None:
    pool = CommunityPool(CommunityLM(name, dspy.LM("openai/small"), persona=name) for name in ("care", "fairness"))
    saved = tmp_path / "saved"
    Distributional(dspy.LM("openai/base"), pool).save(saved)
    assert compile_mode("--program", saved, strategy="weights").exit_code == 0
    result = compile_mode("--program", saved, mode="overton", strategy="synthesis")
    assert result.exit_code == 2
    assert "holds a Distributional, which is not the mode overton" in result.stderr


def test_a_search_starts_from_the_measure_that_is_named(compile_mode: Run) -> None:
    named = compile_mode("--measure", "letters")
    assert named.exit_code == 0, named.stderr
    trials = [line for line in named.stderr.splitlines() if line.startswith("measurement: ")]
    assert trials[0].endswith("choose: letters")
    refused = compile_mode("--synthesis", "joint")
    assert (refused.exit_code, "leave out --synthesis" in refused.stderr) == (2, True)


@pytest.fixture
def judged(compile_mode: Run, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A compilation of Overton whose judge, the base LLM, prefers responses with kindness in them."""

    def likelihood(prompt: str, continuation: str) -> float:
        first, _, second = prompt.partition("First:")[2].partition("Second:")
        asked, other = (first, second) if "\nThe first response" in second else (second, first)
        agreed = 0.5 + 0.4 * (("Kindness" in asked) - ("Kindness" in other))
        return math.log(agreed if continuation.strip() in ("Yes", "Good", "True") else 1 - agreed)

    monkeypatch.setattr(conftest, "likelihood", likelihood)
    return partial(compile_mode, "--task", "overton-judge", "--limit", 10, mode="overton", strategy="synthesis")


def test_a_mode_is_compiled_to_win(judged: Run, tmp_path: Path) -> None:
    result = judged("--judge", "base")
    assert result.exit_code == 0, result.stderr
    report = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert report["kept"]
    assert report["scorer"].startswith("judge:fake/openai/base:")
    figures = [report["test"][place]["win score"]["value"] for place in ("before", "after")]
    assert figures == [0.5, 1.0]
    refused = judged("--judge", "base", "--against", "mixture_of_experts")
    assert refused.exit_code == 2
    assert "belongs to another compilation: baseline was Prompted " in refused.stderr
    assert ", is MixtureOfExperts " in refused.stderr


def test_the_base_of_a_pool_file_writes_and_judges(judged: Run, fakes: dict[str, dspy.LM], tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(conftest.POOL.replace("openai/base", "openai/capable"))
    fixed = ("--judge", other, "--prompt-lm", other, "--strategy", "instructions", "--limit", 6)
    result = judged(*fixed)
    assert result.exit_code == 0, result.stderr
    report = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert report["scorer"].startswith("judge:fake/openai/capable:")
    assert report["settings"]["prompt LM"] == "fake/openai/capable"
    assert report["tokens"]["fake/openai/capable"]["calls"] > 0


def test_a_version_is_registered_with_its_scores_once(better: Run, run: Run, tmp_path: Path) -> None:
    result = better("--register", "moral", "--promote")
    assert result.exit_code == 0, result.stderr
    assert "The winner is kept" in result.stdout
    assert "Registered models:/moral/1, which modplural.load takes." in result.stdout
    assert "models:/moral@champion is moral/1 now: the first champion." in result.stdout
    report = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    version = find("moral@champion")
    assert version.run_id == report["run_id"]
    scores = scores_with_rows(version)
    assert scores is not None
    assert [row.record for row in scores.rows] == [row["record"] for row in report["test"]["rows"]]
    assert scores.digest == f"{report['test']['digest']}, 15 drawn by seed 0"
    again = better("--register", "moral", "--promote")
    assert "Registered models:/moral/1, which" in again.stdout
    assert [one.number for one in versions("moral")] == [1]


def test_a_version_that_is_no_better_is_no_champion(better: Run, tmp_path: Path) -> None:
    assert better("--register", "moral", "--promote").exit_code == 0
    (tmp_path / "compiled").rename(tmp_path / "first")
    result = better("--register", "moral", "--promote", "--seed", "3", "--budget", "medium")
    assert result.exit_code == 0, result.stderr
    assert "Registered models:/moral/2" in result.stdout
    assert "It is not the champion: moral/2 stays behind the champion, moral/1: their scores do not" in result.stdout
    assert find("moral@champion").number == 1


def test_scores_of_an_evaluation_pair_with_those_of_a_compilation(
    better: Run, run: Run, pool_file: Path, tmp_path: Path
) -> None:
    task = ("--task", "distributional-moralchoice")
    whole = ("--strategy", "measurement", "--pool", pool_file, "--output", tmp_path / "compiled")
    assert run("compile", "distributional", *task, *whole, "--register", "moral", "--promote").exit_code == 0
    manifest = tmp_path / "compiled" / PROGRAM / "manifest.json"  # fake LMs can be made again by their other names
    manifest.write_text(manifest.read_text().replace('"custom": "fake/openai/', '"model": "openai/'))
    evaluated = ("--program", tmp_path / "compiled" / PROGRAM, "--method", "prompted", "--output", tmp_path / "found")
    result = run("evaluate", *task, *evaluated, "--pool", pool_file)
    assert result.exit_code == 0, result.stderr
    metrics = ("--metrics", tmp_path / "found" / "evaluation.json")
    result = run("versions", "register", tmp_path / "compiled" / PROGRAM, "--name", "moral", *metrics)
    assert result.exit_code == 0, result.stderr
    refused = run("versions", "promote", "moral/2")
    assert "Jensen-Shannon distance differs by +0.0000 [+0.0000, +0.0000] on the same rows" in refused.stderr


def test_a_student_is_not_registered(compile_mode: Run) -> None:
    result = compile_mode("--register", "moral")
    assert "Nothing is registered as moral: the program is the student" in result.stdout
    with pytest.raises(VersionError):
        versions("moral")


def test_a_name_that_cannot_be_is_told_before_anything_is_spent(
    better: Run, run: Run, store: Path, fakes: dict[str, dspy.LM]
) -> None:
    Vanilla(dspy.LM("openai/base")).save(store / "vanilla")
    assert run("versions", "register", store / "vanilla", "--name", "plain").exit_code == 0
    for arguments, why in (
        (("--register", "plain"), "the versions of 'plain' are vanilla and this is distributional"),
        (("--register", "a/b"), "'a/b' is no name for versions"),
        (("--promote",), "give the name with --register"),
    ):
        result = better(*arguments)
        assert result.exit_code == 2
        assert why in result.stderr
    assert not any(lm.engine.requests for lm in fakes.values())


def test_a_run_is_told_unless_none_is_wanted(compile_mode: Run, store: Path) -> None:
    assert "The MLflow run: " in compile_mode().stdout
    before = (store / "mlflow.db").read_bytes()
    assert "MLflow" not in compile_mode("--no-track").stdout
    assert (store / "mlflow.db").read_bytes() == before


def test_a_store_that_cannot_be_written_is_told_in_a_line(compile_mode: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/no/mlflow.db")
    result = compile_mode()
    assert result.exit_code == 1
    assert "sqlite:////proc/no/mlflow.db cannot be used: " in result.stderr
    assert len(result.stderr.splitlines()) == 2


def test_unseen_records_and_baselines_are_shown(compile_mode: Run, tmp_path: Path) -> None:
    rows = [dict(row) for row in load_task("distributional-moralchoice").rows[:6]]
    for number, row in enumerate(rows):
        row["question"] = f"Scenario: I borrowed {number} books. " + row["question"]
    (tmp_path / "unseen.json").write_text(json.dumps(rows))
    result = compile_mode("--unseen", tmp_path / "unseen.json", "--unseen-limit", 4)
    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert sum(line.startswith("unseen ") for line in lines) == 1
    assert sum(line.startswith("prompted ") for line in lines) == 2
    assert max(map(len, lines)) <= 100 or "MLflow run" in result.stdout
    report = json.loads((tmp_path / "compiled" / REPORT).read_bytes())
    assert report["unseen"]["records"] == 4


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("--strategy", "luck"), "there is no strategy 'luck'"),
        (("--strategy", "gepa"), "the strategy 'gepa' has instructions written by an LM, and none was given"),
        (("--strategy", "synthesis"), "Distributional synthesizes nothing"),
        (("--task", "overton-vk"), "Distributional cannot be compiled for overton-vk"),
        (("--task", "poetry"), "unknown task 'poetry'"),
        (("--scorer", "taste"), "unknown scorer 'taste'"),
        (("--data", "nowhere.json"), "nowhere.json"),
        (("--max-calls", "3"), "max_calls is 3, and the scores before and after alone take about"),
        (("--unseen", "nowhere.json"), "nowhere.json"),
        (("--unseen-limit", "3"), "there are no unseen records to draw from"),
        (("--prompt-lm", ""), "Error: --prompt-lm: '' names no provider; write local/"),
        (("--prompt-lm", "hosted_vllm/big"), "--prompt-lm: 'hosted_vllm/big' is on a server of your own"),
        (("--prompt-lm", "none.yaml"), "none.yaml: no such pool file"),
        (("--judge", "base"), "distributional-moralchoice compares no responses; leave out --judge and --against"),
        (("--against", "vanilla"), "distributional-moralchoice compares no responses; leave out --judge and --against"),
        (("--task", "overton-judge"), "by an LM that judges; name the LM with --judge ('base' is the base LLM)"),
        (("--task", "overton-judge", "--judge", "hosted_vllm/big"), "--judge: 'hosted_vllm/big' is on a server"),
        (("--scorer", "judge:hosted_vllm/big"), "--scorer: 'hosted_vllm/big' is on a server"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_spent(compile_mode: Run, arguments: tuple[str, ...], why: str) -> None:
    result = compile_mode(*arguments)
    assert result.exit_code == 2
    assert why in result.stderr
    assert "Traceback" not in result.stderr
