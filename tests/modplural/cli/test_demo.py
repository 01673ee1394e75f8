"""`modplural demo`: all it promises is shown, whatever the LMs say."""

from collections.abc import Callable

import pytest
from typer.testing import Result

from modplural.cli.demo_evaluation import MODULAR, VANILLA, one_of_each, sample_plans
from modplural.data import TASKS, load_task, split_records
from modplural.data.splits import situation
from modplural.programs.building import BuiltPool
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.pool import CommunityPool

Run = Callable[..., Result]


@pytest.fixture(scope="module")
def shown() -> list[str]:
    """What the demo of the module's one run showed, by line."""
    return []


def test_every_mode_and_a_run_are_shown(run: Run, shown: list[str]) -> None:
    result = run("demo")
    assert result.exit_code == 0, result.stderr
    shown += result.stdout.splitlines()
    commands = [line for line in shown if line.startswith("$ modplural")]
    assert [command.split()[2] for command in commands] == ["ask", "ask", "ask", "run"]
    for mode in ("overton", "steerable", "distributional"):
        assert f"--mode {mode}" in result.stdout
    for community in ("care", "fairness", "liberty", "loyalty", "authority", "sanctity"):
        assert sum(line.startswith(f"{community} ") for line in shown) == 5
    assert "2 records of distributional-moralchoice, 2 answered now" in result.stdout
    assert "low-1" in result.stdout


def test_all_tasks_stand_in_one_table_with_intervals(shown: list[str]) -> None:
    (header,) = [
        number for number, line in enumerate(shown) if line.split() == ["task", VANILLA, MODULAR, "difference"]
    ]
    table = shown[header + 1 : header + 13]
    assert [line.split()[0] for line in table[::2]] == list(TASKS)
    for figures, below in zip(table[::2], table[1::2], strict=True):
        assert figures.split()[-1] in ("better", "worse", "clear")
        assert ", n=" in below
        assert below.count("[") == below.count("]") == 3
    assert max(map(len, table)) <= 100


def test_what_is_left_out_is_said(shown: list[str]) -> None:
    (line,) = [line for line in shown if line.startswith("Left out, for time: ")]
    for task in ("steerable-vk", "steerable-opinionqa"):
        whole = split_records(load_task(task)).test
        taken = len(one_of_each(whole).records)
        assert f"{len(whole.records) - taken} of {len(whole.records)} records of {task}" in line
    assert line.count(" records of ") == 2
    assert "after 32 tokens" in line


def test_the_command_that_leaves_nothing_out_is_one(run: Run, shown: list[str]) -> None:
    (line,) = [line for line in shown if line.startswith("All of it: modplural evaluate ")]
    arguments = line.removeprefix("All of it: modplural ").split()
    arguments[arguments.index("--task") + 1] = "overton-judge"
    assert run(*arguments[: arguments.index("--output")], "--limit", 1, "--output", "/dev/null/no").exit_code == 2
    assert arguments[-2:] == ["--output", "results"]


def test_every_situation_is_asked_about_once() -> None:
    lm = fake_lm({"": "Yes."}, lambda prompt, text: -1.0)
    built = BuiltPool(lm, CommunityPool([CommunityLM("care", lm, persona="For care.")]))
    plans = {plan.task: plan for plan in sample_plans(built)}
    assert list(plans) == list(TASKS)
    for task, plan in plans.items():
        whole = {situation(record) for record in split_records(load_task(task)).test.records.values()}
        asked = [situation(record) for record in plan.records.records.values()]
        assert len(asked) == len(set(asked)) == len(whole)
        assert list(plan.programs) == [VANILLA, MODULAR]
    labels = {record.example().option for record in plans["steerable-vk"].records.records.values()}
    assert labels == {"Support", "Oppose", "Either"}
