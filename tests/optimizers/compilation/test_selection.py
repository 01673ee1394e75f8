"""Selections are judged on the sample's situations: which explanation is a value's own is known there."""

import json
import math
from pathlib import Path

import pytest

from modplural.data import load_task, sample
from modplural.optimizers.compilation import STRATEGIES, compile, markdown
from modplural.optimizers.compilation.compilation_run import metrics
from modplural.optimizers.compilation.heats import FIRST
from modplural.optimizers.compilation.report import SELECTION
from modplural.optimizers.compilation.selection import selection_part, selection_scores, selections
from modplural.optimizers.journal import RunUsageError
from modplural.optimizers.metrics import metric_for
from modplural.programs.engines.fake import fake_lm
from modplural.programs.measurement import Measurement
from modplural.programs.overton import Overton
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


def test_a_part_of_a_report_counts_situations_as_groups(knower: Steerable, make_bench: MakeBench) -> None:
    better = knower.deepcopy()
    better.select.measurement = Measurement("channel")
    part, by_chance = selection_part(make_bench(), "test", knower, better)
    assert (part.name, part.after[SELECTION].value, part.records) == (SELECTION, 1.0, len(selections("test")))
    assert part.comparison.groups == len({one.query for one in selections("test")})
    assert part.comparison.difference == pytest.approx(1 - part.before[SELECTION].value)
    assert by_chance < 0.001
    assert selection_part(make_bench(), "test", knower, knower)[1] == 1


def test_a_large_lead_is_seen_early(knower: Steerable, make_bench: MakeBench) -> None:
    better = knower.deepcopy()
    better.select.measurement = Measurement("channel")
    part, by_chance = selection_part(make_bench(), "dev", knower, better, looks=(10, 20))
    assert (part.records, part.after[SELECTION].n) == (10, 10)
    assert by_chance == pytest.approx(2 * selection_part(make_bench(), "dev", knower, better, looks=(10,))[1])
    asked = len(knower.base.engine.prompts)
    part, by_chance = selection_part(make_bench(), "dev", knower, knower, looks=(10, 20))
    assert (part.records, by_chance) == (20, 1)
    assert len(knower.base.engine.prompts) - asked == 20


def test_a_question_that_fails_is_left_out(knower: Steerable, make_bench: MakeBench) -> None:
    examples = selections("test")
    silent = examples[0].choice
    asked = fake_lm({"": "A"}, lambda prompt, said: math.log(-1 if silent in prompt else 0.5), name="base")
    failing = Steerable(asked, knower.pool)
    failing.select.measurement = Measurement("channel")
    part, _ = selection_part(make_bench(), "test", failing, failing)
    assert part.failed_before == part.failed_after == len(examples) - part.after[SELECTION].n > 0


def test_selections_are_counted_and_limited(knower: Steerable, make_bench: MakeBench) -> None:
    bench = make_bench(metric_for("steerable-vk"))
    with bench.ledger.watching():
        selection_scores(knower, selections("train", most=12), threads=4)
    assert bench.ledger.calls == len(knower.base.engine.prompts) > 0

    examples = [one.copy(option=one.choice, situation=one.query) for one in selections("dev", most=8)]
    limited = make_bench(metric_for("steerable-vk"), max_calls=30)
    strategy = STRATEGIES["measurement"](limited)
    before = len(knower.base.engine.prompts)
    strategy.compile(knower, trainset=examples[:4], valset=examples[4:])
    assert strategy.stopped
    assert len(knower.base.engine.prompts) - before <= 30 + 4


def test_the_way_to_select_is_kept_by_itself(knower: Steerable, make_bench: MakeBench) -> None:
    """The records see no difference: a base LLM that answers alike whatever was selected."""
    report = compile(knower, "steerable-vk", strategy="measurement", limit=6).report
    assert report.kept, report.reason
    assert "its way to select is kept, and nothing else of it: it selects the right message in 100%" in report.reason
    assert report.selection is not None
    assert report.selection.after[SELECTION].value == 1 > report.selection.before[SELECTION].value
    assert "## Selection: how often the message that is known to be right is selected" in markdown(report)
    assert dict(metrics(report))["selection/after minus before/selection"] == report.selection.comparison.difference
    assert [line for line in report.diff.splitlines() if line[0] in "+-"][2:] == [
        "-measured by: letters, temperature 1, sharpness 1",
        "+measured by: channel, temperature 1, sharpness 1",
    ]


def test_compiling_finds_the_way_to_select_that_is_right(knower: Steerable, make_bench: MakeBench) -> None:
    examples = [one.copy(option=one.choice, situation=one.query) for one in selections("dev", most=8)]
    bench = make_bench(metric_for("steerable-vk"))
    found = STRATEGIES["measurement"](bench).compile(knower, trainset=examples[:4], valset=examples[4:])
    scores = {trial.what: trial.score for trial in bench.log.trials if trial.what.startswith("select")}
    assert found.select.measurement == Measurement("channel")
    assert scores["select: channel"] == 1 > scores["select: letters"]
    asked = {trial.what: trial.n for trial in bench.log.trials if trial.what.startswith("select")}
    assert set(asked.values()) == {FIRST}, "the others lose the heat"


def test_selections_may_be_judged_on_records_of_ones_own(knower: Steerable, tmp_path: Path) -> None:
    rows = json.loads(sample("overton-vk").read_bytes())
    file = tmp_path / "own.json"
    file.write_text(json.dumps([{**row, "situation": f"{row['situation']} Here?"} for row in rows]))
    report = compile(knower, "steerable-vk", strategy="measurement", limit=6, selection=file).report
    assert report.selection is not None
    assert report.selection.source == f"the test situations of {file}"
    assert report.selection.after[SELECTION].value == 1
    asked = [prompt for prompt in knower.base.engine.prompts if " Here?" in prompt]
    assert asked
    with pytest.raises(RunUsageError, match="holds records of steerable-vk; selections are judged on situations with"):
        compile(knower, "steerable-vk", strategy="measurement", selection=load_task("steerable-vk"))


def test_only_what_selects_is_judged_by_selections(overton: Overton) -> None:
    with pytest.raises(RunUsageError, match="Overton selects no message"):
        compile(overton, "overton-vk", strategy="synthesis", selection=load_task("overton-vk"))
