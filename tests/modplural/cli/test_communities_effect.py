"""`modplural communities effect`: what a community brings, in a table or as JSON."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

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
    assert sum(one["n"] for one in effect["by_attribute"].values()) == 2


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
