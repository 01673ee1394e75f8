"""A compilation in MLflow: its run, trials, data, report, program and traces; gone on with, and without a secret."""

import base64
import itertools
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural import load
from modplural.optimizers.compilation import PROGRAM, REPORT, Compiled, Trial, compile
from modplural.optimizers.compilation.compilation_run import EXPERIMENT
from modplural.optimizers.traces import KEY_TAG, METHOD_TAG
from modplural.optimizers.tracking import StoreError, opened_run, tracking_client
from modplural.optimizers.versions import read_scores, register
from modplural.programs.overton import Overton

from .conftest import SAID

LIMIT = 6


def compiled(program: Overton, **settings: Any) -> Compiled:
    fixed: dict[str, Any] = {"strategy": "synthesis", "metric": SAID, "limit": LIMIT, "track": True}
    return compile(program, "overton-vk", **{**fixed, **settings})


def runs() -> list[Any]:
    client = tracking_client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    return list(client.search_runs([experiment.experiment_id])) if experiment else []


def main_run() -> Any:
    (found,) = [run for run in runs() if "mlflow.parentRunId" not in run.data.tags]
    return found


def test_a_run_says_what_was_found_and_on_what(store: Path, overton: Overton) -> None:
    report = compiled(overton, traces=0.0).report
    run = main_run()
    assert (run.info.run_id, run.info.status) == (report.run_id, "FINISHED")
    assert run.info.run_name == "Overton on overton-vk, synthesis"
    assert run.data.params["seed"] == "0"
    assert run.data.params["versions/dspy"]
    read = {one.tags[0].value: one.dataset for one in run.inputs.dataset_inputs}
    assert read.keys() == {"train", "dev", "test"}
    assert json.loads(read["test"].profile) == {"rows": LIMIT, "digest": report.test.digest}
    told = run.data.metrics
    assert told["test/after/said"] == told["test/after/said/low"] == 1
    assert told["test/after minus before/said"] == pytest.approx(report.test.comparison.difference)
    assert told["test/prompted/words"] == report.test.beside[1].baseline["words"].value
    assert "test/after minus vanilla/said/low" in told
    assert told["test/after against prompted equally short/said"] < 1


def test_every_trial_is_a_run_below(store: Path, overton: Overton) -> None:
    report = compiled(overton, traces=0.0).report
    below = {run.data.params["candidate"]: run for run in runs() if "mlflow.parentRunId" in run.data.tags}
    assert below.keys() == {trial.what for trial in report.trials}
    assert below["joint"].data.metrics["score"] == report.trials[0].score
    assert {run.data.tags["mlflow.parentRunId"] for run in below.values()} == {report.run_id}


def test_report_plot_and_program_are_kept_with_the_run(store: Path, overton: Overton) -> None:
    found = compiled(overton, traces=0.0)
    kept = tracking_client().list_artifacts(found.report.run_id, "report")
    assert {one.path for one in kept} == {"report/report.json", "report/report.md", "report/scores.svg"}
    (plot,) = store.rglob("scores.svg")
    text = plot.read_text()
    assert "prompted" in text
    assert "test: said, with 95% intervals, n = 6" in text
    lms = {community.name: community.lm for community in overton.pool}
    loaded = load(f"runs:/{found.report.run_id}/program", base=overton.base, lms=lms)
    assert loaded.dump_state() == found.program.dump_state()


def test_a_sample_of_the_last_look_is_traced(store: Path, overton: Overton) -> None:
    report = compiled(overton, traces=1.0).report
    client = tracking_client()
    traces = list(client.search_traces(locations=[main_run().info.experiment_id], run_id=report.run_id))
    by_method: dict[str, set[str]] = {}
    for trace in traces:
        by_method.setdefault(trace.info.tags[METHOD_TAG], set()).add(trace.info.tags[KEY_TAG])
    rows = {row.record for row in report.test.rows}
    assert by_method == {"before, test": rows, "after, test": rows}
    names = {span.name for span in traces[0].data.spans}
    assert {"Overton", "care", "fairness", "chance"} <= names
    said = {span.outputs["message"] for trace in traces for span in trace.data.spans if span.name == "care"}
    assert said == {"Kindness decides what people deserve in moments like these."}


class StoppedError(BaseException):
    """Stands for a kill."""


def test_a_compilation_that_was_stopped_goes_on_in_its_run(store: Path, overton: Overton, tmp_path: Path) -> None:
    def stop(trial: Trial) -> None:
        raise StoppedError

    with pytest.raises(StoppedError):
        compiled(overton, output=tmp_path / "out", on_trial=stop)
    stopped = main_run()
    assert stopped.info.status == "FAILED"
    report = compiled(overton, output=tmp_path / "out", traces=0.0).report
    assert (report.run_id, main_run().info.status) == (stopped.info.run_id, "FINISHED")
    assert len(main_run().inputs.dataset_inputs) == 3


def test_the_same_compilation_adds_nothing_twice(store: Path, overton: Overton, tmp_path: Path) -> None:
    first = compiled(overton, output=tmp_path / "out", traces=0.0).report
    again = compiled(overton, output=tmp_path / "out", traces=0.0).report
    assert again.run_id == first.run_id
    assert len(runs()) == 1 + len(first.trials)


def test_another_store_gets_a_run_of_its_own(
    store: Path, overton: Overton, tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = compiled(overton, output=tmp_path / "out", traces=0.0).report
    other = tmp_path / "other.db"
    other.write_bytes(empty_store.read_bytes())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{other}")
    again = compiled(overton, output=tmp_path / "out", traces=0.0).report
    assert again.run_id != first.run_id
    assert main_run().info.run_id == again.run_id
    assert len(runs()) == 1 + len(first.trials)


@pytest.mark.parametrize("address", ["sqlite:////proc/no/mlflow.db", "read-only"])
def test_a_store_that_cannot_be_written_is_told_before_the_search(
    address: str, store: Path, overton: Overton, monkeypatch: pytest.MonkeyPatch
) -> None:
    if address == "read-only":
        address = f"sqlite:///file:{store / 'mlflow.db'}?mode=ro&uri=true"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    told: list[Trial] = []
    with pytest.raises(StoreError, match=r"^sqlite:///.* cannot be used: .*MLFLOW_TRACKING_URI names another"):
        compiled(overton, on_trial=told.append)
    assert not told


CANARIES = {
    "api_key": "canary-key-5f2c",
    "headers": "canary-header-77aa",
    "extra_headers": "canary-extra-header-90b1",
    "extra_body": "canary-body-13de",
    "api_base": "canary-password-c0de",
    "environment": "canary-environment-e4e4",
}


class Echo(BaseHTTPRequestHandler):
    """A server that refuses every fifth synthesis of messages, and repeats all that it was sent."""

    count = itertools.count()

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["content-length"])).decode()
        message = {"role": "assistant", "content": "Kindness, Justice and Luck all have a say."}
        reply: dict[str, Any] = {
            **{"id": "1", "object": "chat.completion", "created": 0, "model": "some"},
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
        }
        refused = "Message" in sent and next(self.count) % 5 == 4
        if refused:
            reply = {
                "error": {"message": f"no answer for {dict(self.headers)} {sent}", "type": "invalid_request_error"}
            }
        data = json.dumps(reply).encode()
        self.send_response(400 if refused else 200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Stay silent."""


@pytest.fixture
def leaking() -> Iterator[dspy.LM]:
    """An LM on such a server, with a canary in every setting that may hold a secret."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield dspy.LM(
        "openai/some",
        api_base=f"http://me:{CANARIES['api_base']}@127.0.0.1:{server.server_port}/v1",
        api_key=CANARIES["api_key"],
        headers={"x-key": CANARIES["headers"]},
        extra_headers={"x-other": CANARIES["extra_headers"]},
        extra_body={"password": CANARIES["extra_body"]},
        num_retries=0,
        cache=False,
    )
    server.shutdown()
    server.server_close()


def test_no_secret_reaches_folder_or_store(
    store: Path, overton: Overton, leaking: dspy.LM, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every row is traced, those that fail among them, and what was compiled is registered."""
    monkeypatch.setenv("SOME_API_KEY", CANARIES["environment"])
    overton.base = leaking
    run_id = compiled(overton, output=tmp_path / "out", traces=1.0).report.run_id
    assert run_id is not None
    register(tmp_path / "out" / PROGRAM, "overton", read_scores(tmp_path / "out" / REPORT), run=opened_run(run_id))
    traces = tracking_client().search_traces(locations=[main_run().info.experiment_id])
    assert "no answer for" in str([span.attributes for trace in traces for span in trace.data.spans])
    files = [file for folder in (store, tmp_path / "out") for file in folder.rglob("*") if file.is_file()]
    assert {"report.json", "report.md", "trials.json", "manifest.json", "mlflow.db"} <= {file.name for file in files}
    secrets = {**CANARIES, "basic": base64.b64encode(f"me:{CANARIES['api_base']}".encode()).decode()}
    leaked = [(file, name) for file in files for name, text in secrets.items() if text.encode() in file.read_bytes()]
    assert not leaked


def test_nothing_is_tracked_where_it_is_not_asked_for(store: Path, overton: Overton) -> None:
    assert compiled(overton, track=False).report.run_id is None
    assert not runs()
    with pytest.raises(ValueError, match=r"traces is 3.0; it is a share of rows"):
        compiled(overton, traces=3.0)
