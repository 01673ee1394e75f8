"""Compiling: what is kept and what is not, what is written, resuming, and budgets."""

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

import modplural
from modplural.data import RecordFile, load_task, split_records
from modplural.optimizers.compilation import PROGRAM, REPORT, REPORT_TEXT, STATE, Compiled, Estimate, Trial, compile
from modplural.optimizers.compilation.parts import parts_of
from modplural.optimizers.evaluation.usage import Tokens
from modplural.optimizers.journal import RunUsageError
from modplural.optimizers.metrics import TaskMetric
from modplural.programs.distributional import Distributional
from modplural.programs.overton import Overton
from modplural.programs.saving import load_into

from .conftest import SAID, bindings

LIMIT = 6


def compiled(program: Overton, strategy: str = "synthesis", **settings: Any) -> Compiled:
    return compile(program, "overton-vk", **{"strategy": strategy, "metric": SAID, "limit": LIMIT, **settings})


def test_a_better_program_is_kept_and_scored_once_on_test(overton: Overton, tmp_path: Path) -> None:
    before, expected, trials = overton.dump_state(), list[Estimate](), list[Trial]()
    found = compiled(overton, output=tmp_path, on_estimate=expected.append, on_trial=trials.append)
    report = found.report

    assert report.kept
    assert found.program.synthesis.value in ("per_message", "refine")
    assert overton.dump_state() == before
    assert bindings(found.program) == bindings(overton)
    assert report.test.after["said"].value == 1 > report.test.before["said"].value
    assert (report.dev.records, report.test.records) == (LIMIT, LIMIT)
    assert tuple(trials) == report.trials
    assert [trial.what for trial in trials] == ["joint", "per_message", "refine", "extractive"]
    assert expected[0] == report.estimate
    assert "-value: joint\n+value: per_message" in report.diff


def test_test_records_are_asked_about_only_after_the_last_trial(overton: Overton) -> None:
    asked: list[int] = []
    compiled(overton, on_trial=lambda trial: asked.append(len(overton.base.engine.prompts)))
    queries = [example.query for example in parts_of("overton-vk", limit=LIMIT).test.examples]
    places = [
        place for place, prompt in enumerate(overton.base.engine.prompts) if any(query in prompt for query in queries)
    ]
    assert min(places) >= asked[-1]


def test_a_limit_draws_from_all_of_a_part() -> None:
    whole, some, others = (
        parts_of("overton-vk"),
        parts_of("overton-vk", limit=6),
        parts_of("overton-vk", limit=6, seed=1),
    )
    for name in ("train", "dev", "test"):
        kept = [example.query for example in getattr(some, name).examples]
        every = [example.query for example in getattr(whole, name).examples]
        assert len(kept) == 6
        assert kept == [query for query in every if query in kept]
        assert kept != every[:6]
        assert getattr(some, name).digest == getattr(whole, name).digest == getattr(others, name).digest
    assert some.dev.examples != others.dev.examples
    splits = split_records(load_task("overton-vk"))
    assert whole.test.examples == splits.test.examples()


def test_everything_is_written(overton: Overton, tmp_path: Path) -> None:
    found = compiled(overton, "synthesis+instructions", output=tmp_path, limit=10)
    loaded = overton.deepcopy()
    load_into(loaded, tmp_path / PROGRAM)
    assert loaded.dump_state() == found.program.dump_state()
    report = json.loads((tmp_path / REPORT).read_bytes())
    assert report["settings"]["seed"] == 0
    assert report["settings"]["versions"]["dspy"]
    assert report["tokens"]["fake/base"]["calls"] == found.report.tokens["fake/base"].calls
    assert {trial["stage"] for trial in report["trials"]} == {"synthesis", "instructions"}
    text = (tmp_path / REPORT_TEXT).read_text()
    for part in ("# Overton on overton-vk, compiled by synthesis+instructions", "**The winner is kept**", "```diff"):
        assert part in text


def test_what_is_no_better_is_not_kept(overton: Overton) -> None:
    overton.synthesis.value = "per_message"
    found = compiled(overton)
    assert not found.report.kept
    assert found.report.reason == "nothing better was found"
    assert found.program.dump_state() == overton.dump_state()
    assert found.report.test.before == found.report.test.after
    assert not found.report.diff


def test_a_winner_by_chance_is_not_kept(overton: Overton) -> None:
    """One candidate is a little better on one record of six: that is no evidence."""
    lucky: list[str] = []

    def row(example: dspy.Example, prediction: dspy.Prediction) -> float:
        if "strategy" in prediction and prediction.strategy == "refine" and not lucky:
            lucky.append(example.query)
        return 0.5 + 0.1 * (prediction.strategy == "refine" and example.query in lucky)

    metric = TaskMetric("overton-vk", "said", row, SAID.figures, bool, group="situation")
    found = compiled(overton, metric=metric)
    assert not found.report.kept
    assert found.report.reason == (
        "the best candidate may lead on the dev records by chance: p = 0.5, and of the best of 3 candidates 0.017 is"
        " asked for"
    )
    assert found.program.synthesis.value == "joint"
    assert "+value: refine" in found.report.diff


def test_too_few_situations_prove_nothing(overton: Overton) -> None:
    found = compiled(overton, limit=4)
    assert found.report.reason == ("the dev records are of 4 situations, and with fewer than 6 no test can be sure")


class StoppedError(BaseException):
    """Stands for a kill."""


@pytest.mark.parametrize("strategy", ["synthesis+instructions", "instructions+bootstrap"])
def test_a_compilation_goes_on_where_it_was_stopped(
    strategy: str, overton: Overton, tmp_path: Path, dspy_cache: Path
) -> None:
    for lm in [overton.base, *(community.lm for community in overton.pool)]:
        lm.cache = True
    whole = compiled(overton, strategy, output=tmp_path / "whole")
    asked = sum(tokens.calls for tokens in whole.report.tokens.values())
    dspy.cache.reset_memory_cache()
    for trials in (2, len(whole.report.trials) - 1):
        dspy.configure_cache(disk_cache_dir=str(tmp_path / f"cache-{trials}"))
        folder, seen = tmp_path / f"stopped-{trials}", list[Trial]()

        def stop(trial: Trial, seen: list[Trial] = seen, trials: int = trials) -> None:
            seen.append(trial)
            if len(seen) == trials:
                raise StoppedError

        with pytest.raises(StoppedError):
            compiled(overton, strategy, output=folder, on_trial=stop)
        found = compiled(overton, strategy, output=folder)

        assert found.program.dump_state() == whole.program.dump_state()
        assert found.report.test == whole.report.test
        assert found.report.estimate == whole.report.estimate
        assert sum(tokens.calls for tokens in found.report.tokens.values()) <= asked


def test_scores_that_are_kept_are_not_asked_for_again(overton: Overton, tmp_path: Path) -> None:
    """Also without DSPy's cache: a stage that has ended is taken over, and so are scores of candidates."""
    first = compiled(overton, "instructions", output=tmp_path, limit=10)
    asked = len(overton.base.engine.requests)
    again = compiled(overton, "instructions", output=tmp_path, limit=10)
    assert again.report.trials == first.report.trials
    assert again.program.dump_state() == first.program.dump_state()
    # The scores before and after are made anew, because figures are made of predictions; and three of baselines.
    assert len(overton.base.engine.requests) - asked == (4 + 3) * 10
    assert asked > 10 * 10


def test_another_compilation_is_not_continued(overton: Overton, tmp_path: Path) -> None:
    compiled(overton, output=tmp_path)
    with pytest.raises(RunUsageError, match="belongs to another compilation: seed was 0, is 1"):
        compiled(overton, output=tmp_path, seed=1)
    (tmp_path / STATE).write_text("{}")
    with pytest.raises(RunUsageError, match="is not the state of a compilation"):
        compiled(overton, output=tmp_path)


def test_a_budget_leaves_room_for_the_final_scores(overton: Overton) -> None:
    found = compiled(overton, "instructions", max_calls=140)
    assert found.report.stopped
    assert sum(tokens.calls for tokens in found.report.tokens.values()) <= 140 + 16
    with pytest.raises(RunUsageError, match="max_calls is 20, and the scores before and after alone take about "):
        compiled(overton, max_calls=20)


def test_the_estimate_is_an_upper_bound(overton: Overton, prompt_lm: dspy.LM) -> None:
    for strategy in ("synthesis+instructions", "bootstrap", "mipro", "copro", "gepa"):
        report = compiled(overton, strategy, prompt_lm=prompt_lm).report
        # One record was answered for the estimate itself.
        assert sum(tokens.calls for tokens in report.tokens.values()) <= report.estimate.calls + 4
        written = report.tokens.get("fake/prompt", Tokens()).calls
        assert written <= report.estimate.prompt_calls
        assert (written == 0) == (strategy == "bootstrap")


def test_weights_and_measurement_compile_one_after_the_other(distributional: Distributional) -> None:
    report = compile(distributional, "distributional-moralchoice", strategy="measurement+weights", limit=8).report
    assert {trial.stage for trial in report.trials} == {"measurement", "weights"}
    assert next(iter(report.test.before)) == "Jensen-Shannon distance"
    assert not report.higher_is_better


def test_what_cannot_be_compiled_is_refused_before_anybody_is_asked(overton: Overton, tmp_path: Path) -> None:
    empty = tmp_path / "empty.json"
    empty.write_text(json.dumps([load_task("overton-vk").rows[0]]))
    for settings, why in (
        ({"strategy": "luck"}, "there is no strategy 'luck'; the strategies are bootstrap, mipro"),
        ({"budget": "huge"}, "there is no budget 'huge'; the budgets are light, medium, heavy"),
        ({"limit": 0}, "limit is 0"),
        ({"max_calls": 0}, "max_calls is 0"),
        ({"strategy": "synthesis+gepa"}, "the strategy 'gepa' has instructions written by an LM"),
        ({"strategy": "synthesis+weights"}, "Overton has no weights to fit"),
        ({"data": load_task("steerable-vk")}, "holds records of steerable-vk, and overton-vk was to be compiled"),
        ({"data": empty}, "has no record for"),
    ):
        with pytest.raises((ValueError, RunUsageError), match=why):
            compiled(overton, **settings)
    with pytest.raises(RunUsageError, match="Predict is no program of ours"):
        compiled(dspy.Predict("query -> response"))  # type: ignore[arg-type]
    assert not overton.base.engine.requests


def test_records_may_be_given_as_they_were_read(overton: Overton) -> None:
    records = load_task("overton-vk")
    assert isinstance(records, RecordFile)
    assert compiled(overton, data=records).report.settings["data"] == str(records.path)
    assert modplural.compile is compile
