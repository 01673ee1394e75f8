"""`modplural evaluate`: tables, resuming, failures, and what is wrong usage."""

import io
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import dspy
import pytest
from rich.console import Console
from typer.testing import Result

from modplural.cli.bars import TaskBars
from modplural.cli.session import Terminal
from modplural.optimizers.evaluation import RESULT, STORE, Progress, Spent
from modplural.optimizers.tracking import tracking_client
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import FakeEngine
from modplural.programs.pool import CommunityPool

Run = Callable[..., Result]
LMs = Mapping[str, dspy.LM]

TASK = "distributional-moralchoice"

FAKE = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
from modplural.cli import main
from modplural.programs import building
from modplural.programs.engines.fake import fake_lm

delays = {sys.argv.pop(1): 60}
building.build_lm = lambda config: fake_lm({"": "Indeed."}, lambda prompt, text: -1.0, delays=delays)
main()
"""
"""A `modplural` in its own process; what the first argument names is what its LMs ponder for a minute."""


@pytest.fixture
def found(tmp_path: Path) -> Path:
    """The folder of the evaluation."""
    return tmp_path / "found"


@pytest.fixture
def evaluate(run: Run, pool_file: Path, found: Path) -> Run:
    """Runs the command on four records of the sample of a task, always in the same folder."""

    def evaluate(*arguments: object, task: str = TASK) -> Result:
        fixed = ("--task", task, "--pool", pool_file, "--output", found, "--limit", 4)
        return run("evaluate", *fixed, *arguments)

    return evaluate


def saved(found: Path) -> Any:
    return json.loads((found / RESULT).read_bytes())


def calls(fakes: LMs) -> int:
    """How often the fake LMs of the latest command were asked."""
    engines = [lm.engine for lm in fakes.values()]
    return sum(len(engine.requests) for engine in engines if isinstance(engine, FakeEngine))


def test_methods_stand_beside_one_another(evaluate: Run, found: Path) -> None:
    result = evaluate()
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"{TASK}: 4 records, split test, lower is better" in result.stdout
    for method in ("vanilla", "prompted", "mixture_of_experts", "modular"):
        assert f"\n{method} " in result.stdout
    assert "Against prompted, on the same rows (p corrected after Holm)" in result.stdout
    assert "not known" in result.stdout
    assert str(found / RESULT) in result.stdout
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 100
    assert len(saved(found)["rows"]) == 16


def test_names_may_stand_after_one_another_or_apart(evaluate: Run, found: Path) -> None:
    tasks = f"steerable-opinionqa, {TASK}"
    assert evaluate("--method", "vanilla,prompted", "--method", "vanilla", task=tasks).exit_code == 0
    assert {(row["task"], row["method"]) for row in saved(found)["rows"]} == {
        (task, method) for task in ("steerable-opinionqa", TASK) for method in ("vanilla", "prompted")
    }


def test_the_same_command_asks_nothing_twice(evaluate: Run, found: Path, fakes: LMs) -> None:
    first = evaluate()
    asked = calls(fakes)
    before = saved(found)
    assert (evaluate().stdout, saved(found)) == (first.stdout, before)
    assert asked > 0
    assert calls(fakes) == 0


def test_failures_are_summed_up_and_a_share_of_them_fails_the_command(
    evaluate: Run, found: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for fairness"] = ConnectionError("The server [red]is down[/red]\x1b[2J.")
    result = evaluate("--method", "vanilla,modular")
    assert result.exit_code == 1
    assert "4 of 8 rows failed (50.0%)" in result.stdout
    assert "0, 1, 2, 3" in result.stdout
    assert "[red]is" in result.stdout
    assert "\x1b" not in result.stdout
    assert evaluate("--method", "vanilla,modular", "--max-failed", 0.5).exit_code == 0
    replies["You speak for fairness"] = "At last."
    assert evaluate("--method", "vanilla,modular").exit_code == 0
    assert saved(found)["share_failed"] == 0


def test_a_saved_program_is_one_more_method(evaluate: Run, fakes: LMs, pool_file: Path, found: Path) -> None:
    evaluate("--method", "prompted")
    base = dspy.LM("openai/base")
    folder = found.with_name("mine")
    pool = CommunityPool([CommunityLM("care", dspy.LM("openai/small"), persona="You speak for care.")])
    Distributional(base, pool).save(folder)
    assert evaluate("--method", "prompted", "--program", folder).exit_code == 0
    assert [figures["method"] for figures in saved(found)["figures"]] == ["prompted", "program"]
    assert [one["method"] for one in saved(found)["comparisons"]] == ["program"]


def test_answers_are_exported_in_the_common_format(evaluate: Run, tmp_path: Path) -> None:
    folder = tmp_path / "answers"
    assert evaluate("--method", "vanilla,modular", "--export", folder).exit_code == 0
    assert sorted(path.name for path in folder.iterdir()) == [f"{TASK}.modular.json", f"{TASK}.vanilla.json"]
    rows = json.loads((folder / f"{TASK}.modular.json").read_bytes())
    assert len(rows) == 4
    assert all(sum(row["pred_distribution"]) == pytest.approx(1) for row in rows)


def test_a_report_is_written_where_it_is_asked_for(evaluate: Run, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    result = evaluate("--method", "prompted,modular", "--report", folder)
    assert result.exit_code == 0, result.stderr
    assert f"The report: {folder / 'report.html'}" in result.stdout
    assert "modular" in (folder / "report.html").read_text(encoding="utf-8")
    assert TASK in (folder / "report.md").read_text(encoding="utf-8")


def test_a_split_or_all_of_a_file(run: Run, pool_file: Path, tmp_path: Path) -> None:
    question = {"options": ["Yes", "No"], "attribute": "low_ambiguity", "gold_distribution": [1, 0]}
    records = tmp_path / "records.json"
    records.write_text(json.dumps([{"id": number, "question": f"Is {number}?", **question} for number in range(30)]))
    counts = {}
    for split in ("train", "dev", "test", "all"):
        fixed = ("--task", TASK, "--pool", pool_file, "--method", "vanilla", "--data", records)
        assert run("evaluate", *fixed, "--output", tmp_path / split, "--split", split).exit_code == 0
        counts[split] = len(saved(tmp_path / split)["rows"])
    assert counts["all"] == 30 == counts["train"] + counts["dev"] + counts["test"]
    assert saved(tmp_path / "all")["tasks"][0]["split"] is None


def test_unreadable_records_are_told(run: Run, pool_file: Path, tmp_path: Path) -> None:
    question = {"options": ["Yes", "No"], "attribute": "low_ambiguity", "gold_distribution": [1, 0]}
    rows = [{"id": number, "question": f"Is {number}?", **question} for number in range(9)]
    (tmp_path / "records.json").write_text(json.dumps([*rows, {**rows[0], "options": "Yes"}]))
    fixed = ("--task", TASK, "--pool", pool_file, "--method", "vanilla", "--output", tmp_path / "found")
    result = run("evaluate", *fixed, "--data", tmp_path / "records.json")
    assert result.exit_code == 0
    assert "1 unreadable and left out, such as record 9 (key options" in " ".join(result.stderr.split())


def test_a_seed_reaches_the_lms_and_asks_anew(evaluate: Run, found: Path, fakes: LMs) -> None:
    evaluate("--method", "vanilla")
    assert evaluate("--method", "vanilla", "--seed", 7).exit_code == 0
    assert calls(fakes) > 0
    assert saved(found)["settings"]["seed"] == 7


def test_the_base_llm_judges_where_it_is_told_to(evaluate: Run) -> None:
    result = evaluate("--method", "prompted,modular", "--judge", "base", task="overton-judge")
    assert result.exit_code == 0, result.stderr
    assert "scored by judge:fake/openai/base:" in result.stdout
    assert "win score" in result.stdout


def test_an_lm_scores_value_coverage_where_it_is_told_to(evaluate: Run, fakes: LMs) -> None:
    result = evaluate("--method", "vanilla", "--scorer", "judge:base", task="overton-vk")
    assert result.exit_code == 0, result.stderr
    assert "scored by judge:fake/openai/base:" in result.stdout
    before = calls(fakes)
    assert evaluate("--method", "vanilla", "--scorer", "judge:base", task="overton-vk").stdout == result.stdout
    assert calls(fakes) == 1 < before, "more than to see that it can be asked"


def test_methods_are_compared_with_the_one_that_is_named(evaluate: Run, found: Path) -> None:
    result = evaluate("--method", "vanilla,modular", "--against", "vanilla")
    assert result.exit_code == 0, result.stderr
    assert "Against vanilla, on the same rows" in result.stdout
    assert [(one["method"], one["against"]) for one in saved(found)["comparisons"]] == [("modular", "vanilla")]


def test_modes_are_changed_where_they_have_a_use_for_it(evaluate: Run, found: Path) -> None:
    task = f"overton-vk,{TASK}"
    assert evaluate("--method", "vanilla,modular", "--synthesis", "per_message", task=task).exit_code == 0
    strategies = {row["prediction"].get("strategy") for row in saved(found)["rows"] if row["method"] == "modular"}
    assert strategies == {None, "per_message"}


def test_communities_may_fail_where_it_is_told_that_they_may(
    evaluate: Run, found: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for fairness"] = ConnectionError("down")
    methods = ("--method", "vanilla,modular")
    assert evaluate(*methods).exit_code == 1
    result = evaluate(*methods, "--on-failure", "continue", "--at-least", 1)
    assert result.exit_code == 0, result.stdout
    failures = [row["prediction"]["failures"] for row in saved(found)["rows"] if row["method"] == "modular"]
    assert all(set(one) == {"fairness"} for one in failures)


@pytest.mark.filterwarnings("ignore")
def test_everything_is_kept_as_a_run(evaluate: Run, store: Path, tmp_path: Path, found: Path) -> None:
    tracked = ("--method", "vanilla,prompted", "--track", "--traces", 0.5)
    result = evaluate(*tracked, "--report", tmp_path / "report")
    assert result.exit_code == 0, result.stderr
    client = tracking_client()
    (run,) = client.search_runs([client.get_experiment_by_name("modplural-evaluation").experiment_id])
    assert f"The run: {run.info.run_id} in sqlite:///" in result.stdout
    assert run.info.status == "FINISHED"
    figure = f"{TASK}/vanilla/Jensen-Shannon distance"
    assert {figure, f"{figure}/low", f"{figure}/high", f"{figure}/n"} <= run.data.metrics.keys()
    (data,) = run.inputs.dataset_inputs
    assert (data.dataset.name, data.tags[0].value) == (TASK, "test")
    assert saved(found)["tasks"][0]["digest"].startswith(data.dataset.digest)
    kept = {file.path for file in client.list_artifacts(run.info.run_id)}
    assert kept == {"reports", RESULT}
    assert {"reports/report.html", "reports/plots"} <= {
        file.path for file in client.list_artifacts(run.info.run_id, "reports")
    }
    traces = client.search_traces(locations=[run.info.experiment_id], run_id=run.info.run_id)
    assert 0 < len(traces) < 8


@pytest.mark.filterwarnings("ignore")
def test_a_run_has_reports_where_nobody_else_wants_them(evaluate: Run, store: Path) -> None:
    assert evaluate("--method", "vanilla", "--track").exit_code == 0
    client = tracking_client()
    (run,) = client.search_runs([client.get_experiment_by_name("modplural-evaluation").experiment_id])
    assert "reports/report.md" in {file.path for file in client.list_artifacts(run.info.run_id, "reports")}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--task", "overton"), "unknown task 'overton'; the tasks are overton-vk"),
        (("--task", TASK, "--method", "best"), "unknown method 'best'; the methods are vanilla"),
        (("--task", TASK, "--pool", "none"), "no such pool file"),
        (("--task", TASK, "--data", "nowhere.json"), "nowhere.json"),
        (("--task", TASK, "--program", "nowhere"), "nowhere"),
        (("--task", "overton-judge"), "by an LM that judges; it needs both"),
        (("--task", ","), "no name in ','"),
        (("--task", TASK, "--scorer", "best"), "unknown scorer 'best'; the scorers are embedding"),
        (("--task", "overton-vk", "--scorer", "nli:/tmp/none"), "nli:/tmp/none cannot score: "),
        (
            ("--task", "overton-judge", "--judge", "base", "--scorer", "nli:/tmp/none", "--report", "r"),
            "nli:/tmp/none cannot score: ",
        ),
        (("--task", TASK, "--against", "best"), "--against is 'best'; it is one of the methods, vanilla, prompted"),
        (("--task", TASK, "--traces", "0.5"), "it needs --track"),
        (("--task", TASK, "--synthesis", "refine"), "synthesizes nothing"),
        (("--task", TASK, "--at-least", "1"), "it needs --on-failure continue"),
        (("--task", "overton-judge", "--judge", ""), "judge"),
    ],
)
def test_nonsense_is_wrong_usage(run: Run, pool_file: Path, found: Path, arguments: tuple[str, ...], said: str) -> None:
    pool = () if "--pool" in arguments else ("--pool", pool_file)
    result = run("evaluate", *arguments, *pool, "--output", found)
    assert result.exit_code == 2
    assert said in result.stderr
    assert not found.exists()


def test_a_program_of_another_mode_is_wrong_usage(evaluate: Run, fakes: LMs, found: Path) -> None:
    folder = found.with_name("mine")
    pool = CommunityPool([CommunityLM("care", dspy.LM("openai/small"))])
    Distributional(dspy.LM("openai/base"), pool).save(folder)
    result = evaluate("--program", folder, task="overton-vk")
    assert result.exit_code == 2
    assert "program cannot answer overton-vk: Distributional needs options" in result.stderr


def test_a_folder_that_is_a_file_is_wrong_usage(evaluate: Run, found: Path) -> None:
    found.write_text("mine")
    assert evaluate().exit_code == 2
    assert found.read_text() == "mine"


@pytest.mark.parametrize("option", ["--report", "--export"])
def test_a_folder_for_files_is_looked_at_before_anybody_is_asked(
    evaluate: Run, fakes: LMs, found: Path, tmp_path: Path, option: str
) -> None:
    taken = tmp_path / "taken"
    taken.write_text("mine")
    result = evaluate(option, taken)
    assert result.exit_code == 2
    assert "taken: File exists" in result.stderr
    assert calls(fakes) == 0
    assert not found.exists()


def test_a_split_without_records_is_named(run: Run, pool_file: Path, tmp_path: Path) -> None:
    records = tmp_path / "records.json"
    question = {"options": ["Yes", "No"], "attribute": "low_ambiguity", "gold_distribution": [1, 0]}
    records.write_text(json.dumps([{"id": 1, "question": "Is it?", **question}]))
    fixed = ("--task", TASK, "--pool", pool_file, "--data", records, "--output", tmp_path)
    results = {split: run("evaluate", *fixed, "--split", split) for split in ("train", "dev", "test")}
    assert sorted(result.exit_code for result in results.values()) == [0, 2, 2]
    for split, result in results.items():
        assert (f"no record of {TASK} in its split '{split}'" in result.stderr) == (result.exit_code == 2)


def test_bars_show_every_task_with_its_rate_and_what_failed() -> None:
    terminal = Terminal()
    terminal.notes = Console(file=io.StringIO(), force_terminal=True, width=100)
    with TaskBars(terminal) as bars:
        for done in range(50, 54):
            bars.show(Progress("overton-vk", done, 60, done - 50, Spent(1_000 * done, done, 0.25)))
            bars.show(Progress("steerable-vk", done, 90, 0, Spent(1_000 * done, done, 0.25)))
            time.sleep(0.02)
        rates = [bar.speed for bar in bars._bars.tasks]
    assert isinstance(terminal.notes.file, io.StringIO)
    drawn = terminal.notes.file.getvalue()
    assert "overton-vk" in drawn
    assert "53/60" in drawn
    assert "53/90" in drawn
    assert "3 failed" in drawn
    assert "53,000 tokens in, 53 out, $0.25" in drawn
    assert all(rate is not None and rate < 200 for rate in rates), "what was done before counts as speed"


def test_an_interruption_is_told_and_gone_on_with(run: Run, pool_file: Path, found: Path, fakes: LMs) -> None:
    fixed = ["--task", TASK, "--pool", str(pool_file), "--output", str(found), "--limit", "4", "--workers", "1"]
    arguments = [sys.executable, "-c", FAKE, "You speak for fairness", "evaluate", *fixed]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 30
        while not (found / STORE).exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert process.returncode == 130, errors
    assert f"What is answered is in {found}; the same command goes on." in errors
    assert run("evaluate", *fixed).exit_code == 0
