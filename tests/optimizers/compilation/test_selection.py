"""Selections are judged on the sample's situations: which explanation is a value's own is known there."""

import math

import pytest

from modplural.optimizers.compilation import STRATEGIES
from modplural.optimizers.compilation.selection import FIGURE, selection_figure, selection_scores, selections
from modplural.optimizers.metrics import metric_for
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.measurement import Measurement
from modplural.programs.pool import CommunityPool
from modplural.programs.steerable import Steerable

from .conftest import MakeBench

KNOWN = {(one.choice, one.attribute) for split in ("train", "dev", "test") for one in selections(split, most=10**6)}


def knowing(prompt: str, continuation: str) -> float:
    """By channel it knows whose explanation it reads; letters and everything else are all the same to it."""
    said = continuation.strip()
    return math.log(0.9 if any(said == value and choice in prompt for choice, value in KNOWN) else 0.1)


@pytest.fixture
def knower(pool: CommunityPool) -> Steerable:
    program = Steerable(fake_lm({"": "A"}, knowing, name="base"), pool)
    program.select.measurement = Measurement("letters")
    return program


def test_questions_have_one_right_answer_among_several() -> None:
    for one in selections("test"):
        assert len(one.options) >= 2
        assert one.options.count(one.choice) == 1
        assert one.inputs().keys() == ["query", "attribute", "options"]


def test_no_situation_is_in_two_parts() -> None:
    parts = [{one.query for one in selections(split, most=10**6)} for split in ("train", "dev", "test")]
    assert all(parts)
    assert len(set.union(*parts)) == sum(map(len, parts))


def test_the_draw_is_the_seeds() -> None:
    assert selections("train", 1, 20) == selections("train", 1, 20) != selections("train", 2, 20)


def test_a_score_is_whether_the_own_explanation_is_selected(knower: Steerable) -> None:
    examples = selections("train", most=12)
    knower.select.measurement = Measurement("channel")
    assert selection_scores(knower, examples, threads=4) == [1.0] * 12
    knower.select.measurement = Measurement("letters")
    assert sum(selection_scores(knower, examples, threads=4)) < 12


def test_the_figure_counts_situations_as_groups(knower: Steerable) -> None:
    knower.select.measurement = Measurement("channel")
    (found,) = selection_figure(knower, threads=4).values()
    assert (found.name, found.value, found.n) == (FIGURE, 1.0, len(selections("test")))


def test_programs_that_select_no_message_have_no_figure(distributional: Distributional) -> None:
    assert not selection_figure(distributional, threads=1)


def test_compiling_finds_the_way_to_select_that_is_right(knower: Steerable, make_bench: MakeBench) -> None:
    examples = [one.copy(option=one.choice, situation=one.query) for one in selections("dev", most=8)]
    bench = make_bench(metric_for("steerable-vk"))
    found = STRATEGIES["measurement"](bench).compile(knower, trainset=examples[:4], valset=examples[4:])
    scores = {trial.what: trial.score for trial in bench.log.trials if trial.what.startswith("select")}
    assert found.select.measurement == Measurement("channel")
    assert scores["select: channel"] == 1 > scores["select: letters"]
