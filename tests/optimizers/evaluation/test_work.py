"""What is one job and what is another, and in which order they are done."""

from itertools import pairwise

import pytest

from modplural.optimizers.evaluation import METHODS, drawn_records, make_methods
from modplural.optimizers.evaluation.work import jobs_of, settled_prediction
from modplural.programs.baselines import MixtureOfExperts, Prompted, Vanilla
from modplural.programs.overton import Overton
from modplural.programs.steerable import Steerable

from .conftest import World, dilemma, situation

CHOICE = "distributional-moralchoice"
OPINIONS = "steerable-opinionqa"


def opinion(number: int, query: str) -> dict[str, object]:
    return {**dilemma(number), "question": query, "attribute": f"POLPARTY_{number}"}


def test_every_record_is_a_job_for_every_method(world: World) -> None:
    jobs = jobs_of([world.plan(CHOICE, [dilemma(0), dilemma(1)])])
    assert set(jobs) == {(CHOICE, method, index) for method in METHODS for index in range(2)}
    assert len({job.key for job in jobs.values()}) == 8


def test_equal_records_are_one_job(world: World) -> None:
    jobs = jobs_of([world.plan(CHOICE, [dilemma(0), dilemma(0)], "vanilla")])
    assert len(jobs) == 2
    assert len({job.key for job in jobs.values()}) == 1


def test_a_job_keeps_its_key_when_records_come_and_go(world: World) -> None:
    few = jobs_of([world.plan(CHOICE, [dilemma(1)], "vanilla")])
    more = jobs_of([world.plan(CHOICE, [dilemma(0), dilemma(1)], "vanilla", "prompted")])
    assert few[CHOICE, "vanilla", 0].key == more[CHOICE, "vanilla", 1].key  # type: ignore[index]


def test_an_answer_in_a_record_makes_no_other_job(world: World) -> None:
    answered = {**dilemma(0), "pred_distribution": [0.3, 0.7]}
    (before,) = jobs_of([world.plan(CHOICE, [dilemma(0)], "vanilla")]).values()
    (after,) = jobs_of([world.plan(CHOICE, [answered], "vanilla")]).values()
    assert before.key == after.key


def test_records_of_one_query_are_begun_apart(world: World) -> None:
    rows = [opinion(number, query) for query in ("Tea?", "Milk?", "Juice?") for number in range(3)]
    order = list(jobs_of([world.plan(OPINIONS, rows, "modular")]).values())
    queries = [job.record.example().query for job in order]
    assert all(one != other for one, other in pairwise(queries))


def test_tasks_take_turns(world: World) -> None:
    plans = [
        world.plan(CHOICE, [dilemma(number) for number in range(3)], "vanilla"),
        world.plan("overton-vk", [situation(number) for number in range(3)], "vanilla"),
    ]
    assert [place.task for place in jobs_of(plans)] == [CHOICE, "overton-vk"] * 3


def test_who_is_not_asked_has_a_prediction_and_no_job(world: World) -> None:
    single = {**dilemma(1), "options": ["I stay."], "gold_distribution": [1.0]}
    plan = world.plan(CHOICE, [dilemma(0), single], "vanilla")
    assert [place.row for place in jobs_of([plan])] == [0]
    assert settled_prediction(plan.records.records[1]) == {"option": "I stay.", "probabilities": {"I stay.": 1.0}}
    assert settled_prediction(plan.records.records[0]) is None


def test_records_are_drawn_from_all_of_a_file_and_more_are_the_same_and_others(world: World) -> None:
    records = world.records(CHOICE, [*map(dilemma, range(20)), {"id": 99}, *map(dilemma, range(20, 40))])
    few, more = drawn_records(records, 5), drawn_records(records, 12)
    assert [len(found.records) for found in (few, more)] == [5, 12]
    assert [found.rows[place]["id"] for found in (few, more) for place in found.records] == [
        record.id for found in (few, more) for record in found.records.values()
    ]
    assert {record.id for record in few.records.values()} < {record.id for record in more.records.values()}
    assert max(record.id for record in few.records.values()) > 5
    assert few.digest == records.digest
    assert list(drawn_records(records, 99).records.values()) == list(records.records.values())
    with pytest.raises(ValueError, match="limit is 0"):
        drawn_records(records, 0)


def test_methods_are_made_for_a_mode(world: World) -> None:
    made = make_methods(METHODS, "overton", world.base, world.pool)
    assert [type(program) for program in made.values()] == [Vanilla, Prompted, MixtureOfExperts, Overton]
    assert isinstance(make_methods(["modular"], "steerable", world.base, world.pool)["modular"], Steerable)
    with pytest.raises(ValueError, match="unknown method 'best'; the methods are vanilla, prompted"):
        make_methods(["best"], "overton", world.base, world.pool)
