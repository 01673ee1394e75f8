"""The last look: rows for pairing, baselines beside the program, equal lengths, and records from elsewhere."""

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.data import load_task
from modplural.optimizers.answering import record_digest
from modplural.optimizers.compilation import REPORT, compile
from modplural.optimizers.compilation.beside import AS_LONG, CUT
from modplural.optimizers.compilation.parts import Unseen, parts_of
from modplural.optimizers.journal import RunUsageError
from modplural.optimizers.metrics import TaskMetric, count_words
from modplural.programs.baselines import Prompted
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.overton import Overton

from .conftest import EVERYTHING, SAID

LIMIT = 6
RAMBLING = "Kindness has a say and so has whatever else anybody could ever think of in a long and rambling answer."


def compiled(program: Any, **settings: Any) -> Any:
    fixed = {"strategy": "synthesis", "metric": SAID, "limit": LIMIT}
    return compile(program, "overton-vk", **{**fixed, **settings})


@pytest.fixture
def talker(overton: Overton) -> Overton:
    """Its base LLM is short by itself, and rambles where it is asked for pluralism or for a number of words."""

    def reply(request: dspy.lm15.Request) -> str:
        prompt = prompt_text(request)
        if "words." in prompt:
            return f"{RAMBLING} {EVERYTHING}"
        return RAMBLING if "diverse values" in prompt else EVERYTHING if "Message" in prompt else "It depends."

    overton.base = fake_lm(reply, name="base", max_tokens=30)
    return overton


def test_rows_are_told_by_the_digests_of_records(overton: Overton, tmp_path: Path) -> None:
    report = compiled(overton, output=tmp_path).report
    known = {record_digest(record) for record in load_task("overton-vk").records.values()}
    assert len({row.record for row in report.test.rows} & known) == LIMIT
    assert len({row.group for row in report.test.rows}) == LIMIT
    assert [row.after for row in report.test.rows] == [1.0] * LIMIT
    written = json.loads((tmp_path / REPORT).read_bytes())["test"]["rows"]
    assert written[0].keys() == {"record", "group", "before", "after"}
    assert report.dev.rows == report.dev.beside == ()


def test_baselines_answer_the_same_records(talker: Overton) -> None:
    found = {one.name: one for one in compiled(talker).report.test.beside}
    assert list(found) == ["vanilla", "prompted", AS_LONG, CUT]
    assert found["vanilla"].baseline["said"].value == 0
    assert found["prompted"].baseline["words"].value == count_words(RAMBLING)
    assert found["prompted"].comparison.difference == pytest.approx(2 / 3)
    assert found["prompted"].comparison.low > 0


def test_lengths_are_made_equal_both_ways(talker: Overton) -> None:
    """The baseline says all that the program does, and a good deal more before: within its words it says less."""
    report = compiled(talker).report.test
    found = {one.name: one for one in report.beside}
    words = report.after["words"].value
    asked = [prompt for prompt in talker.base.engine.prompts if f"Write about {words:.0f} words." in prompt]
    assert len(asked) == LIMIT
    assert found[AS_LONG].baseline["words"].value <= words
    assert found[AS_LONG].baseline["said"].value == pytest.approx(1 / 3)
    assert found[CUT].program["words"].value <= count_words(RAMBLING)
    assert found[CUT].baseline["said"] == found["prompted"].baseline["said"]


def test_there_is_room_for_as_many_words(talker: Overton) -> None:
    long = " ".join([EVERYTHING] * 20)
    talker.base = fake_lm({"Write about": RAMBLING, "Message": long, "": "It depends."}, name="base", max_tokens=30)
    compiled(talker)
    room = [
        request.config.max_tokens
        for request, prompt in zip(talker.base.engine.requests, talker.base.engine.prompts, strict=True)
        if "Write about" in prompt
    ]
    assert len(set(room)) == 1
    assert room[0] > count_words(long)


def test_a_baseline_that_is_compiled_itself_is_not_repeated() -> None:
    program = Prompted(fake_lm({"": RAMBLING}, name="base"))
    report = compiled(program, strategy="bootstrap").report
    assert [one.name for one in report.test.beside] == ["vanilla", AS_LONG]


def test_choices_have_no_length(distributional: Distributional) -> None:
    report = compile(distributional, "distributional-moralchoice", strategy="weights", limit=5).report
    assert [one.name for one in report.test.beside] == ["vanilla", "prompted"]
    assert "words" not in report.test.after


def test_a_metric_that_baselines_cannot_meet_leaves_them_out(overton: Overton) -> None:
    def row(example: dspy.Example, prediction: dspy.Prediction) -> float:
        return float(prediction.strategy == "per_message")

    metric = TaskMetric("overton-vk", "said", row, SAID.figures, bool, group="situation")
    report = compiled(overton, metric=metric).report
    assert report.kept
    problems = {one.name: one.problem for one in report.test.beside}
    assert problems.keys() == {"vanilla", "prompted", AS_LONG}
    assert "Vanilla failed on all 6 records" in problems["vanilla"]


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Ten situations of others, and two that are in the sample as well."""
    rows = [dict(row) for row in load_task("overton-vk").rows[:12]]
    for number, row in enumerate(rows[2:]):
        row["situation"] = row["input"] = f"Lending a neighbour {number} tools"
    rows[0]["situation"] = rows[0]["situation"].upper()
    file = tmp_path / "elsewhere.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    return file


def test_records_from_elsewhere_are_scored_before_and_after(overton: Overton, elsewhere: Path) -> None:
    asked: list[int] = []
    report = compiled(
        overton, unseen=elsewhere, unseen_limit=8, on_trial=lambda trial: asked.append(len(overton.base.engine.prompts))
    ).report
    unseen = report.unseen
    assert (unseen.name, unseen.source, unseen.records) == ("unseen", str(elsewhere), 8)
    assert unseen.after["said"].value == 1 > unseen.before["said"].value
    assert len(unseen.rows) == 8
    assert [one.name for one in unseen.beside] == ["vanilla", "prompted", AS_LONG, CUT]
    seen = [place for place, prompt in enumerate(overton.base.engine.prompts) if "Lending a neighbour" in prompt]
    assert min(seen) >= asked[-1], "nobody was asked about them before the search had ended"


def test_situations_that_were_compiled_on_are_not_unseen(elsewhere: Path) -> None:
    whole = parts_of("overton-vk", unseen=Unseen(elsewhere)).unseen
    assert whole is not None
    assert len(whole.examples) == 10
    assert all("Lending" in example.query for example in whole.examples)
    with pytest.raises(RunUsageError, match="has no record of a situation that is not compiled on"):
        parts_of("overton-vk", unseen=Unseen(load_task("overton-vk")))
    with pytest.raises(RunUsageError, match="holds records of steerable-vk, and overton-vk was to be compiled"):
        parts_of("overton-vk", unseen=Unseen(load_task("steerable-vk")))


def test_what_is_scored_last_is_in_the_estimate(overton: Overton, elsewhere: Path) -> None:
    plain, more = compiled(overton).report, compiled(overton, unseen=elsewhere).report
    assert more.estimate.answers == plain.estimate.answers + 2 * 10
    assert sum(tokens.calls for tokens in more.tokens.values()) <= more.estimate.calls + 4
    with pytest.raises(ValueError, match="unseen_limit is 3, and there are no unseen records"):
        compiled(overton, unseen_limit=3)


def test_unseen_records_may_be_added_when_all_else_is_done(overton: Overton, elsewhere: Path, tmp_path: Path) -> None:
    first = compiled(overton, output=tmp_path / "out").report
    again = compiled(overton, output=tmp_path / "out", unseen=elsewhere).report
    assert again.trials == first.trials
    assert again.unseen is not None
