"""`modplural communities effect`: what a community brings, in a table or as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modplural.data import load_task, sample

Run = Callable[..., Result]


def test_the_effect_of_each_community_is_listed(run: Run, pool_file: Path) -> None:
    result = run("communities", "effect", "care", "fairness", "--pool", pool_file, "--limit", 2)

    assert result.exit_code == 0, result.output
    assert "value coverage" in result.stdout and "more is better" in result.stdout
    rows = [line.split() for line in result.stdout.splitlines()]
    assert [row[0] for row in rows if row and row[0] in ("care", "fairness")] == ["care", "fairness"]
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_json_has_every_figure(run: Run, pool_file: Path) -> None:
    task = ("--task", "distributional-globalopinionqa", "--split", "all")
    result = run("communities", "effect", "care", "--pool", pool_file, "--limit", 2, "--json", *task)

    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert (found["task"], found["higher_is_better"], found["whole"]["n"]) == (
        "distributional-globalopinionqa",
        False,
        2,
    )
    [effect] = found["effects"]
    assert effect["community"] == "care"
    assert effect["difference"]["n"] == 2
    assert effect["difference"]["low"] is None  # of so few records
    assert sum(one["n"] for one in effect["by_attribute"].values()) == 2
    assert found["failed"] == []


def test_what_is_measured_on_few_records_has_no_interval_and_no_rank(run: Run, pool_file: Path) -> None:
    task = ("--task", "distributional-globalopinionqa", "--split", "all")
    few = run("communities", "effect", "care", "--pool", pool_file, "--limit", 2, *task)
    assert few.exit_code == 0, few.output
    assert few.stdout.splitlines()[0].endswith("(n=2, n too small) with the whole pool; less is better")
    assert "n too small" in next(line for line in few.stdout.splitlines() if line.startswith("care"))
    assert "Where each changes most" not in few.stdout
    assert "Attributes with fewer than 5 situations, n too small: " in few.stdout

    enough = run("communities", "effect", "care", "--pool", pool_file, *task)
    assert " to " in next(line for line in enough.stdout.splitlines() if line.startswith("care"))


def test_records_that_fail_are_left_out_and_listed(
    run: Run, pool_file: Path, replies: dict[str, str | Exception]
) -> None:
    task = ("--task", "distributional-globalopinionqa", "--split", "all")
    arguments = ("communities", "effect", "care", "--pool", pool_file, *task)
    whole = json.loads(run(*arguments, "--json").stdout)
    record = load_task("distributional-globalopinionqa").examples()[0]
    replies.update({record.query: ConnectionError("nobody there"), **{key: replies.pop(key) for key in list(replies)}})

    result = run(*arguments)
    assert result.exit_code == 1
    assert "Records that failed, and are in no pair where they did: " in result.stdout
    assert "nobody there" in result.stdout
    data = run(*arguments, "--json")
    assert data.exit_code == 1
    found = json.loads(data.stdout)
    assert found["effects"][0]["difference"]["n"] < whole["effects"][0]["difference"]["n"]
    assert {one["record"] for one in found["failed"]} == {record.id}


def test_records_that_cannot_be_read_are_told(run: Run, pool_file: Path, tmp_path: Path) -> None:
    rows = json.loads(sample("distributional-moralchoice").read_bytes())[:3]
    file = tmp_path / "records.json"
    file.write_text(json.dumps([{**rows[0], "options": ["", "Yes"]}, *rows[1:]]))
    task = ("--task", "distributional-moralchoice", "--split", "all", "--data", file)
    result = run("communities", "effect", "care", "--pool", pool_file, *task)
    assert result.exit_code == 0, result.output
    assert "1 unreadable and left out, such as record 0" in " ".join(result.stderr.split())


def test_records_with_one_option_are_left_out(run: Run, pool_file: Path, tmp_path: Path) -> None:
    rows = json.loads(sample("distributional-globalopinionqa").read_bytes())[:3]
    rows[0] |= {"options": ["Only"], "gold_distribution": [1.0]}
    file = tmp_path / "records.json"
    file.write_text(json.dumps(rows))
    task = ("--task", "distributional-globalopinionqa", "--split", "all", "--data", file)
    result = run("communities", "effect", "care", "--pool", pool_file, *task, "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["whole"]["n"] == 2
    assert "1 records have one option, and are left out" in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("elders",), "there is no community 'elders'"),
        (("care", "--task", "overton"), "unknown task 'overton'"),
        (("care", "--split", "half"), "there is no split 'half'; the splits are train, dev, test, all"),
        (("care", "--data", "none.json"), "none.json"),
        (("care", "--measure", "letters"), "makes no choice"),
    ],
)
def test_wrong_usage_is_told_before_anybody_is_asked(
    arguments: tuple[str, ...], said: str, run: Run, pool_file: Path
) -> None:
    result = run("communities", "effect", *arguments, "--pool", pool_file)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
