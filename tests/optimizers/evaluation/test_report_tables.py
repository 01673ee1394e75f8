"""Tables of an evaluation: what stands beside each figure, and that nothing is shown that is not there."""

from pathlib import Path

import pytest

from modplural.optimizers.evaluation import Plan, evaluate, export, report_tables

from .conftest import Words, World, dilemma, situation

CHOICE = "distributional-moralchoice"


def test_a_figure_stands_with_its_interval_and_n(world: World, found: Path) -> None:
    plans = [world.plan(CHOICE, [dilemma(0), dilemma(1)]), world.plan("overton-vk", [situation(0)])]
    choice, overton = report_tables.figure_tables(evaluate(plans, found, scorer=Words()))
    assert choice.title == f"{CHOICE}: 2 records, lower is better"
    assert choice.columns == ["method", "Jensen-Shannon distance", "n", "most likely match"]
    assert choice.rows[0] == ["vanilla", "0.347 [0.347, 0.347]", "2", "1.000"]
    assert overton.title == "overton-vk: 1 record, higher is better, scored by words"
    assert overton.columns == ["method", "value coverage", "n", "share above 0.33", "words"]
    assert overton.rows[0] == ["vanilla", "0.500 [0.500, 0.500]", "1", "1.000", "2"]


def test_failures_are_named_with_their_rows(world: World, found: Path) -> None:
    world.replies["You speak for fairness"] = ConnectionError("down")
    plans = [world.plan(CHOICE, [dilemma(number) for number in range(12)], "vanilla", "modular")]
    evaluation = evaluate(plans, found)
    (figures,) = report_tables.figure_tables(evaluation)
    assert figures.columns[-1] == "failed"
    assert [row[-1] for row in figures.rows] == ["0", "12"]
    assert figures.rows[1][1:3] == ["no row", "0"]
    failures = report_tables.failure_table(evaluation)
    assert failures is not None
    assert failures.title == "12 of 24 rows failed (50.0%)"
    (row,) = failures.rows
    assert row[:3] == [CHOICE, "modular", "0, 1, 2, 3, 4, 5, 6, 7..."]
    assert "down" in row[3]


def test_what_is_not_there_has_no_table(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan(CHOICE, [dilemma(0)], "vanilla")], found)
    assert report_tables.failure_table(evaluation) is None
    assert report_tables.comparison_table(evaluation) is None


def test_a_comparison_without_a_common_row_has_no_p(world: World, found: Path) -> None:
    world.replies["You speak for fairness"] = ConnectionError("down")
    table = report_tables.comparison_table(evaluate([world.plan(CHOICE, [dilemma(0)], "prompted", "modular")], found))
    assert table is not None
    assert table.rows == [[CHOICE, "modular", "no row has both", "", "", "0"]]


@pytest.mark.parametrize(("number", "said"), [(4, "too few"), (5, "1.000")])
def test_a_few_situations_have_no_p(world: World, found: Path, number: int, said: str) -> None:
    plan = world.plan(CHOICE, [dilemma(n) for n in range(number)], "prompted", "vanilla")
    table = report_tables.comparison_table(evaluate([plan], found))
    assert table is not None
    assert table.rows[0][-2:] == [said, str(number)]


def test_all_tasks_stand_in_one_table(world: World, found: Path) -> None:
    scripted = {"perspectives": "Nothing of it.", **world.replies}  # the first that fits is said
    world.replies.clear()
    world.replies.update(scripted)
    plans = [
        world.plan("overton-vk", [situation(n) for n in range(6)], "prompted", "vanilla"),
        world.plan(CHOICE, [dilemma(n) for n in range(5)], "prompted", "vanilla"),
    ]
    evaluation = evaluate(plans, found, scorer=Words())
    table = report_tables.overview_table(evaluation, "vanilla")
    assert table is not None
    assert table.columns == ["task", "prompted", "vanilla", "difference", ""]
    assert table.rows == [
        [
            "overton-vk\nvalue coverage, n=6",
            "0.250\n[0.250, 0.250]",
            "0.500\n[0.500, 0.500]",
            "+0.250\n[+0.250, +0.250]",
            "better",
        ],
        [
            f"{CHOICE}\nJensen-Shannon distance, n=5",
            "0.347\n[0.347, 0.347]",
            "0.347\n[0.347, 0.347]",
            "+0.000\n[+0.000, +0.000]",
            "not clear",
        ],
    ]
    assert report_tables.overview_table(evaluation, "modular") is None


def test_prices_are_shown_where_they_are_known(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan(CHOICE, [dilemma(0)], "vanilla")], found)
    table = report_tables.token_table(evaluation)
    assert table is not None
    assert table.rows == [["fake/base", "1", "1", "0", "not known"]]


def test_exported_rows_that_failed_are_null(world: World, found: Path) -> None:
    world.replies["You speak for fairness"] = ConnectionError("down")
    stale = {**situation(0), "output": "stale", "note": "kept"}
    plan: Plan = world.plan("overton-vk", [stale], "vanilla", "modular")
    vanilla, modular = export(evaluate([plan], found, scorer=Words()), [plan], found / "answers")
    assert world.records("overton-vk", [stale]).task.record.read(stale)
    assert (vanilla.name, modular.name) == ("overton-vk.vanilla.json", "overton-vk.modular.json")
    assert '"output": "It depends."' in vanilla.read_text()
    assert '"output": null' in modular.read_text()
    assert '"note": "kept"' in modular.read_text()
