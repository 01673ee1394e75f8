"""An evaluation as a run in MLflow."""

import dataclasses
from pathlib import Path

import pytest

from modplural.optimizers.evaluation import JobTraces, evaluate
from modplural.optimizers.evaluation.report_files import write_reports
from modplural.optimizers.evaluation.report_tracking import RUN, evaluation_run, log_evaluation, metrics, parameters
from modplural.optimizers.tracking import tracking_client

from .conftest import Words, World, dilemma, situation


def test_names_say_task_method_and_figure(world: World, tmp_path: Path) -> None:
    plans = [world.plan("overton-vk", [situation(n) for n in range(5)], "prompted", "modular")]
    found = evaluate(plans, tmp_path / "found", scorer=Words())
    logged = dict(metrics(found))
    figure = found.figures[1].figures["value coverage"]
    stem = "overton-vk/modular/value coverage"
    assert [logged[stem], logged[f"{stem}/low"], logged[f"{stem}/high"], logged[f"{stem}/n"]] == [
        figure.value,
        figure.low,
        figure.high,
        5,
    ]
    assert logged["overton-vk/modular against prompted/value coverage/p"] == found.comparisons[0].corrected
    assert (logged["overton-vk/modular/failed"], logged["share failed"]) == (0, 0)


def test_names_that_mlflow_does_not_take_are_changed(world: World, tmp_path: Path) -> None:
    plans = [world.plan("overton-vk", [situation(0)], "vanilla")]
    found = evaluate(plans, tmp_path / "found", scorer=Words())
    renamed = dataclasses.replace(found, figures=(dataclasses.replace(found.figures[0], method="mine: v2 (ü)"),))
    assert "overton-vk/mine_ v2 ___/value coverage" in dict(metrics(renamed))


def test_no_secret_is_logged(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    plans = [world.plan("overton-vk", [situation(0)], "vanilla")]
    found = evaluate(plans, tmp_path / "found", scorer=Words())
    told = dataclasses.replace(found, settings={"note": "https://me:pass@host/x sk-very-secret", "seed": 0})
    assert parameters(told)["note"] == "https://host/x ***"
    assert parameters(told)["seed"] == "0"


@pytest.mark.filterwarnings("ignore")
def test_a_run_holds_figures_digests_and_reports(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    plans = [world.plan("distributional-moralchoice", [dilemma(n) for n in range(5)], "prompted", "modular")]
    found = evaluate(plans, tmp_path / "found")
    write_reports(found, plans, tmp_path / "reports")
    run_id = log_evaluation(found, tmp_path / "reports")
    client = MlflowClient()
    run = client.get_run(run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == pytest.approx(dict(metrics(found)))
    assert run.data.params["distributional-moralchoice/digest"] == plans[0].records.digest
    assert run.data.params["distributional-moralchoice/modular/program"] == plans[0].digests["modular"]
    assert [one.dataset.name for one in run.inputs.dataset_inputs] == ["distributional-moralchoice"]
    assert {Path(one.path).name for one in client.list_artifacts(run_id, "reports")} == {
        "report.md",
        "report.html",
        "report.json",
        "plots",
    }
    assert len(client.list_artifacts(run_id, "reports/plots")) == 3


def test_an_evaluation_that_was_stopped_goes_on_in_its_run(store: Path, tmp_path: Path) -> None:
    class StopError(Exception):
        pass

    folder = tmp_path / "found"
    with pytest.raises(StopError), evaluation_run(["a", "b"], folder) as stopped:
        raise StopError
    assert (folder / RUN).read_text() == f"{stopped.run_id}\na, b"
    with evaluation_run(["a"], folder) as other:
        assert other.run_id != stopped.run_id
    with pytest.raises(StopError), evaluation_run(["a", "b"], folder) as stopped:
        raise StopError
    with evaluation_run(["a", "b"], folder) as resumed:
        assert resumed.run_id == stopped.run_id
    assert not (folder / RUN).exists()
    assert tracking_client().get_run(resumed.run_id).info.status == "FINISHED"


def test_a_share_of_the_rows_is_traced_by_every_method_alike(world: World, store: Path, found: Path) -> None:
    plan = world.plan("distributional-moralchoice", [dilemma(n) for n in range(12)], "vanilla", "modular")
    with evaluation_run(["dilemmas"], found) as run:
        traces = JobTraces(run, 0.5, seed=3)
        evaluate([plan], found, watch=traces.row)
        traces.flush()
        written = tracking_client().search_traces(locations=[run.experiment_id], run_id=run.run_id)
    rows = {"Vanilla": set(), "Distributional": set()}
    for trace in written:
        rows[trace.data.spans[0].name].add(trace.info.tags["modplural.row"])
    assert rows["Vanilla"] == rows["Distributional"]
    assert 0 < len(rows["Vanilla"]) < 12
    spans = {span.name for trace in written for span in trace.data.spans}
    assert {"care", "fairness", "fake/base"} <= spans


def test_a_share_of_none_traces_nothing(world: World, store: Path, found: Path) -> None:
    plan = world.plan("distributional-moralchoice", [dilemma(0)], "vanilla")
    with evaluation_run(["dilemmas"], found) as run:
        evaluate([plan], found, watch=JobTraces(run, 0.0).row)
        JobTraces.flush()
        assert tracking_client().search_traces(locations=[run.experiment_id], run_id=run.run_id) == []
