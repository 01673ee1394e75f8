"""Traces: a share of the rows, linked to their run, with spans that are named after communities."""

from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.optimizers.traces import KEY_TAG, RowTraces
from modplural.optimizers.tracking import TrackedRun, tracked_run, tracking_client
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import CommunityError
from modplural.programs.memory import remembering
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool


def overton(**replies: str | Exception) -> Overton:
    pool = CommunityPool(
        CommunityLM(name, fake_lm({"": replies.get(name, f"{name} speaks.")}, name=name, num_retries=0))
        for name in ("care", "liberty")
    )
    return Overton(fake_lm({"": "All of them."}, name="base"), pool)


def traces_of(run: TrackedRun) -> list[Any]:
    RowTraces.flush()
    return list(tracking_client().search_traces(locations=[run.experiment_id], run_id=run.run_id))


@pytest.mark.parametrize("way", ["sync", "async"])
async def test_communities_are_spans_below_the_program(way: str, store: Path) -> None:
    program = overton()
    with tracked_run("traced", "mine", {}) as run:
        with RowTraces(run, program, 1.0).row("row 1"):
            program("May I?") if way == "sync" else await program.acall("May I?")
        (trace,) = traces_of(run)
    assert trace.info.tags[KEY_TAG] == "row 1"
    spans = {span.span_id: span for span in trace.data.spans}
    tree = {(span.name, spans[span.parent_id].name if span.parent_id else None) for span in spans.values()}
    assert tree == {
        ("Overton", None),
        ("care", "Overton"),
        ("fake/care", "care"),
        ("liberty", "Overton"),
        ("fake/liberty", "liberty"),
        ("synthesize", "Overton"),
        ("fake/base", "synthesize"),
    }
    by_name = {span.name: span for span in spans.values()}
    assert (by_name["care"].inputs, by_name["care"].outputs) == ({"query": "May I?"}, {"message": "care speaks."})
    assert by_name["Overton"].inputs == {"query": "May I?"}
    assert by_name["Overton"].outputs["messages"][1] == {"community": "liberty", "text": "liberty speaks."}
    assert by_name["fake/care"].inputs["messages"][-1]["content"] == "May I?"
    root = by_name["Overton"]
    for span in spans.values():
        assert root.start_time_ns <= span.start_time_ns <= span.end_time_ns <= root.end_time_ns


def test_a_message_that_was_kept_is_a_span_as_well(store: Path) -> None:
    class Memory:
        def place(self, community: CommunityLM, query: str) -> Any:
            return self

        def get(self, ask: Any) -> dspy.Prediction:
            return dspy.Prediction(message="Said before.")

    program = overton()
    with tracked_run("traced", "mine", {}) as run:
        with remembering(Memory()), RowTraces(run, program, 1.0).row("row 1"):
            program("May I?")
        (trace,) = traces_of(run)
    kept = [(span.name, span.inputs, span.outputs) for span in trace.data.spans if span.span_type == "AGENT"]
    said = {"message": "Said before."}
    assert sorted(kept, key=lambda span: span[0]) == [("care", {"kept": True}, said), ("liberty", {"kept": True}, said)]


def test_a_failure_is_told_in_its_span_and_raised(store: Path) -> None:
    program = overton(care=RuntimeError("no"))
    with tracked_run("traced", "mine", {}) as run:
        with pytest.raises(CommunityError), RowTraces(run, program, 1.0).row("row 1"):
            program("May I?")
        (trace,) = traces_of(run)
    failed = {span.name: span for span in trace.data.spans if span.status.status_code == "ERROR"}
    assert {"Overton", "care"} <= failed.keys()
    assert "no" in failed["care"].attributes["error"]


def test_a_share_of_the_rows_is_traced_and_always_the_same(store: Path) -> None:
    program = overton()
    keys = [f"record {n}" for n in range(2000)]
    with tracked_run("traced", "mine", {}) as run:
        tenth, other = (RowTraces(run, program, 0.1, seed=seed) for seed in (0, 1))
        half = RowTraces(run, program, 0.5)
    drawn = [{key for key in keys if traces.chosen(key)} for traces in (tenth, other, half)]
    assert 140 < len(drawn[0]) < 260
    assert drawn[0] != drawn[1]
    assert drawn[0] < drawn[2]  # who asks for more gets those and others
    assert not any(RowTraces(run, program, 0.0).chosen(key) for key in keys)
    assert all(RowTraces(run, program, 1.0).chosen(key) for key in keys)
    with pytest.raises(ValueError, match="share of rows that are traced is 5"):
        RowTraces(run, program, 5)


def test_rows_that_are_not_chosen_are_answered_without_a_callback(store: Path) -> None:
    program = overton()
    with tracked_run("traced", "mine", {}) as run:
        with RowTraces(run, program, 0.0).row("row 1"):
            assert dspy.settings.get("callbacks", []) == []
        assert traces_of(run) == []
