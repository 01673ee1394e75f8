"""Runs: nested, with what they read; their files beside the store; and no secret anywhere in it."""

import json
from pathlib import Path

import dspy
import pytest

from modplural.optimizers.mlflow_store import artifact_root, shown_store, tracking_client
from modplural.optimizers.traces import RowTraces
from modplural.optimizers.tracking import TrackedDataset, tracked_run
from modplural.optimizers.versions import register
from modplural.programs.community import CommunityLM
from modplural.programs.errors import CommunityError
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool

CANARIES = {
    "api_key": "canary-key-5f2c",
    "headers": "canary-header-77aa",
    "extra_headers": "canary-extra-header-90b1",
    "extra_body": "canary-body-13de",
    "api_base": "canary-password-c0de",
    "environment": "canary-environment-e4e4",
}


def test_trials_are_runs_below_the_run_and_a_failed_one_says_so(store: Path) -> None:
    with tracked_run("mine", "compile", {"strategy": "copro"}) as run:
        with run.nested("trial 1", {"instructions": 1}) as trial:
            trial.log_metrics({"dev/value coverage": 0.5}, step=3)
        with pytest.raises(RuntimeError), run.nested("trial 2", {}) as failed:
            raise RuntimeError
    client = tracking_client()
    below = client.search_runs([run.experiment_id], f"tags.`mlflow.parentRunId` = '{run.run_id}'")
    assert {one.info.run_id: one.info.status for one in below} == {trial.run_id: "FINISHED", failed.run_id: "FAILED"}
    (point,) = client.get_metric_history(trial.run_id, "dev/value coverage")
    assert (point.value, point.step) == (0.5, 3)


def test_a_run_is_gone_on_with(store: Path) -> None:
    client = tracking_client()
    with pytest.raises(RuntimeError), tracked_run("mine", "train", {"seed": 1}) as begun:
        begun.log_metrics({"loss": 2.0})
        raise RuntimeError
    with tracked_run("mine", "train", {"seed": 1}, begun.run_id) as gone_on:
        assert client.get_run(begun.run_id).info.status == "RUNNING"
        gone_on.log_metrics({"loss": 1.0}, step=1)
    assert gone_on.run_id == begun.run_id
    assert client.get_run(begun.run_id).info.status == "FINISHED"
    assert [point.value for point in client.get_metric_history(begun.run_id, "loss")] == [2.0, 1.0]


def test_a_run_that_is_there_no_more_is_begun_again(store: Path) -> None:
    with tracked_run("mine", "train", {}, "0" * 32) as first:
        pass
    tracking_client().delete_run(first.run_id)
    with tracked_run("mine", "train", {}, first.run_id) as second:
        pass
    assert first.run_id != second.run_id
    assert tracking_client().get_run(second.run_id).info.status == "FINISHED"


def test_more_than_a_batch_is_logged(store: Path) -> None:
    with tracked_run("mine", "many", {f"p{n}": n for n in range(230)}) as run:
        run.log_metrics({f"m{n}": float(n) for n in range(1100)})
    data = tracking_client().get_run(run.run_id).data
    assert (len(data.params), len(data.metrics), data.params["p229"], data.metrics["m1099"]) == (230, 1100, "229", 1099)


def test_a_dataset_is_told_with_its_digest_and_what_for(store: Path) -> None:
    with tracked_run("mine", "reads", {}) as run:
        run.log_dataset(TrackedDataset("overton-vk", "d" * 64, "sample.json", 20), "dev")
    (read,) = tracking_client().get_run(run.run_id).inputs.dataset_inputs
    assert (read.dataset.name, read.dataset.digest, read.tags[0].value) == ("overton-vk", "d" * 36, "dev")
    assert json.loads(read.dataset.profile) == {"rows": 20, "digest": "d" * 64}


def test_files_lie_beside_the_store_whatever_the_folder(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    (elsewhere / "report.md").write_text("Better.", encoding="utf-8")
    with tracked_run("mine", "files", {}) as run:
        run.log_file(elsewhere / "report.md", "reports")
    (kept,) = store.rglob("report.md")
    assert kept.is_relative_to(store / "mlruns" / "mine" / run.run_id)
    assert [path.name for path in elsewhere.iterdir()] == ["report.md"]
    assert artifact_root("http://127.0.0.1:5000") is None


def test_the_password_of_a_store_is_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:5000")
    assert shown_store() == "http://127.0.0.1:5000"


def test_no_secret_is_written_anywhere(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys, headers and bodies of LMs and passwords of addresses, through every way into the store, a failure too."""
    monkeypatch.setenv("SOME_API_KEY", CANARIES["environment"])
    lm = dspy.LM(
        "hosted_vllm/small",
        api_base=f"http://me:{CANARIES['api_base']}@127.0.0.1:9/v1",
        api_key=CANARIES["api_key"],
        headers={"x-key": CANARIES["headers"]},
        extra_headers={"x-other": CANARIES["extra_headers"]},
        extra_body={"password": CANARIES["extra_body"]},
        num_retries=0,
        cache=False,
    )
    program = Overton(lm, CommunityPool([CommunityLM("care", lm), CommunityLM("liberty", lm)]))
    program.save(tmp_path / "saved")
    with tracked_run("mine", "secret", {"server": lm.kwargs["api_base"], "key": CANARIES["environment"]}) as run:
        with pytest.raises(CommunityError), RowTraces(run, program, 1.0).row("row 1"):
            program(f"May I? {CANARIES['environment']} {CANARIES['api_key']}")
        run.log_dataset(TrackedDataset("t", "d", f"http://me:{CANARIES['api_base']}@example.org/", 1), "test")
        run.log_folder(tmp_path / "saved", "saved")
        register(tmp_path / "saved", "overton", run=run)
    RowTraces.flush()
    assert len(tracking_client().search_traces(locations=[run.experiment_id])) == 1
    files = [file for file in [*store.rglob("*"), *(tmp_path / "saved").iterdir()] if file.is_file()]
    assert len(files) > 8
    written = [(file.name, file.read_bytes()) for file in files]
    leaked = [(file, name) for file, content in written for name, text in CANARIES.items() if text.encode() in content]
    assert not leaked
