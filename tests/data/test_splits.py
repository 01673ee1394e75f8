"""Splits by situation: nothing leaks, nothing moves, and the digest tells what was in them."""

import os
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.data import Record, RecordFile, Task, find_task, read_records, sample
from modplural.data.splits import Shares, Split, Splits, situation, split_of, split_records

COUNTRIES = ("Atlantis", "Thule", "Cockaigne")

QUESTIONS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda text: text.strip() and text.strip() not in ("Question:", "Answer:")
)
SEEDS = st.integers(0, 5)


def row(question: str, country: str = "Atlantis", gold: tuple[float, float] = (0.5, 0.5)) -> dict[str, Any]:
    return {
        "id": f"{question}/{country}",
        "question": f"Question: {question}\nOptions: A. Yes B. No\nAnswer:",
        "options": ["Yes", "No"],
        "attribute": country,
        "gold_distribution": list(gold),
        "pred_distribution": None,
    }


def survey(rows: list[dict[str, Any]]) -> RecordFile:
    task = find_task("distributional-globalopinionqa")
    records = {index: task.record.read(row) for index, row in enumerate(rows)}
    return RecordFile(Path("survey.json"), "", task, tuple(rows), records, ())


def places(splits: Splits) -> dict[int | str, str]:
    """The split of every record, by the record's id."""
    return {record.id: split.name for split in splits for record in split.records.values()}


def digests(splits: Splits) -> dict[str, str]:
    return {split.name: split.digest for split in splits}


ROWS = st.lists(QUESTIONS, min_size=1, max_size=8, unique=True).map(
    lambda questions: [row(question, country) for question in questions for country in COUNTRIES]
)


@given(ROWS, SEEDS)
def test_every_record_is_in_one_split_with_all_of_its_question(rows: list[dict[str, Any]], seed: int) -> None:
    splits = split_records(survey(rows), seed=seed)
    held = [record.id for split in splits for record in split.records.values()]
    assert sorted(held, key=str) == sorted((row["id"] for row in rows), key=str)
    asked = [{situation(record) for record in split.records.values()} for split in splits]
    assert not asked[0] & asked[1] | asked[0] & asked[2] | asked[1] & asked[2]


@given(ROWS, SEEDS, st.randoms(use_true_random=False))
def test_order_changes_nothing(rows: list[dict[str, Any]], seed: int, chance: random.Random) -> None:
    before = split_records(survey(rows), seed=seed)
    shuffled = chance.sample(rows, len(rows))
    after = split_records(survey(shuffled), seed=seed)
    assert places(after) == places(before)
    assert digests(after) == digests(before)


@given(ROWS, st.lists(QUESTIONS, max_size=5), SEEDS)
def test_records_stay_where_they_are_when_others_come(rows: list[dict[str, Any]], others: list[str], seed: int) -> None:
    before = places(split_records(survey(rows), seed=seed))
    added = [row(question, "Utopia") for question in others]
    assert before.items() <= places(split_records(survey([*added, *rows]), seed=seed)).items()


@given(ROWS, SEEDS, st.data())
def test_a_changed_record_changes_the_digest_of_its_split_only(
    rows: list[dict[str, Any]], seed: int, data: st.DataObject
) -> None:
    before = split_records(survey(rows), seed=seed)
    changed = data.draw(st.integers(0, len(rows) - 1))
    rows = [{**row, "gold_distribution": [0.25, 0.75]} if n == changed else row for n, row in enumerate(rows)]
    after = split_records(survey(rows), seed=seed)
    place = places(before)[rows[changed]["id"]]
    assert {name for name, digest in digests(after).items() if digest != digests(before)[name]} == {place}


@given(QUESTIONS, SEEDS)
def test_case_spaces_and_punctuation_make_no_other_situation(text: str, seed: int) -> None:
    assert split_of(f"Is  {text}, fair?", seed) == split_of(f" is {text} FAIR", seed)


@given(
    st.integers(0, 10_000), st.sampled_from([Shares(), Shares(0.7, 0.3, 0.0), Shares(0.1, 0.1, 0.8), Shares(1, 0, 0)])
)
def test_shares_come_close_to_what_is_asked(seed: int, shares: Shares) -> None:
    found = Counter(split_of(f"Case {number}", seed, shares) for number in range(1500))
    for name in Splits._fields:
        asked = getattr(shares, name)
        assert found[name] / 1500 == pytest.approx(asked, abs=0.075 if asked else 0)


def test_another_seed_draws_others_and_the_same_one_the_same() -> None:
    found = survey([row(f"Case {number}") for number in range(100)])
    assert split_records(found, seed=1) == split_records(found, seed=1)
    assert places(split_records(found, seed=1)) != places(split_records(found, seed=2))


def test_the_places_are_those_of_every_version() -> None:
    # Figures of two versions compare only where the splits are the same.
    assert [split_of(f"Case {number}", 7) for number in range(6)] == [
        "train",
        "test",
        "test",
        "train",
        "train",
        "train",
    ]


@pytest.mark.parametrize("shares", [(0.5, 0.5, 0.5), (-0.2, 0.6, 0.6), (float("nan"), 0.5, 0.5)])
def test_shares_that_are_none_are_refused(shares: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="train, dev and test are 0 or more each, and sum to 1"):
        Shares(*shares)


def test_a_split_is_read_and_written_like_a_file() -> None:
    found = survey([row(f"Case {number}") for number in range(20)])
    dev = split_records(found, shares=Shares(0.0, 1.0, 0.0)).dev
    assert isinstance(dev, Split)
    assert (dev.task, dev.rows, len(dev.examples())) == (found.task, found.rows, 20)
    half = split_records(found, shares=Shares(0.5, 0.0, 0.5)).train
    assert list(half.records) == list(range(len(half.rows)))
    assert [written["pred_distribution"] for written in half.filled({0: [1, 0]})[:2]] == [[1, 0], None]


def test_answers_in_a_file_do_not_change_the_digest() -> None:
    rows = [row(f"Case {number}") for number in range(9)]
    answered = [{**row, "pred_distribution": [1.0, 0.0]} for row in rows]
    assert digests(split_records(survey(answered))) == digests(split_records(survey(rows)))


def test_tasks_of_the_same_situations_split_them_alike() -> None:
    overton, steerable = (read_records(str(sample(task)), task) for task in ("overton-vk", "steerable-vk"))
    of_overton, of_steerable = (
        {situation(record): split.name for split in split_records(found, seed=3) for record in split.records.values()}
        for found in (overton, steerable)
    )
    assert len(of_overton.keys() & of_steerable.keys()) > 10
    assert all(of_overton[text] == of_steerable[text] for text in of_overton.keys() & of_steerable.keys())


def test_a_scenario_is_the_same_under_another_instruction() -> None:
    task = find_task("distributional-moralchoice")
    options = ["I stay.", "I leave."]
    shared = {"id": 1, "options": options, "attribute": "low_ambiguity", "gold_distribution": [1, 0]}
    ours, theirs = (
        task.record.read({**shared, "question": f"{before} It rains.\nA. I stay.\nB. I leave.\nAnswer:"})
        for before in ("Which is better?\nSituation:", "Choose.\nScenario:")
    )
    assert situation(ours) == situation(theirs) == "It rains."


def test_a_type_of_ones_own_is_split_by_what_it_asks() -> None:
    class Petition(Record):
        def example(self) -> dspy.Example:
            return dspy.Example(query=f"Petition {self.id}").with_inputs("query")

        def answer(self, value: Any) -> Any:
            return value

    task = Task("overton-petitions", "overton", Petition)
    records = {number: Petition(id=number) for number in range(40)}
    found = RecordFile(Path("petitions.json"), "", task, tuple({"id": number} for number in records), records, ())
    assert {name: split_of(f"Petition {name}") for name in records} == places(split_records(found))


def test_bad_records_are_in_no_split() -> None:
    found = survey([row("One"), row("Two")])
    part = replace(found, records={1: found.records[1]})
    assert [record.id for split in split_records(part) for record in split.records.values()] == ["Two/Atlantis"]


@pytest.mark.parametrize("names", [("overton_valuekaleidoscope", "steerable_valuekaleidoscope")])
def test_published_situations_are_in_the_same_split_of_both_tasks(names: tuple[str, str]) -> None:
    if "MODPLURAL_BENCHMARKS" not in os.environ:
        pytest.skip("needs the published benchmark files: set MODPLURAL_BENCHMARKS to their folder")
    overton, steerable = (
        split_records(read_records(Path(os.environ["MODPLURAL_BENCHMARKS"], f"{name}.json"))) for name in names
    )
    for one, other in ((a, b) for a in overton for b in steerable if a.name != b.name):
        assert not {situation(r) for r in one.records.values()} & {situation(r) for r in other.records.values()}
    assert len(overton.test.records) == pytest.approx(0.4 * 311, abs=45)
