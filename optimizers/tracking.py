"""Runs in MLflow: where they are kept, and how parameters, curves and folders get there.

The store is MLflow's own choice (`MLFLOW_TRACKING_URI`, else `mlflow.db` in the current folder). This file knows
MLflow; it must not know what is tracked.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class TrackedRun:
    """One MLflow run, written through a client of its own, so that it is nobody's global active run."""

    def __init__(self, client: Any, run_id: str) -> None:
        """Write to a run that was created."""
        self._client = client
        self.run_id = run_id

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Add a point to each curve."""
        for name, value in metrics.items():
            self._client.log_metric(self.run_id, name, value, step=step)

    def log_folder(self, folder: Path, name: str) -> None:
        """Keep a folder's files with the run."""
        self._client.log_artifacts(self.run_id, str(folder), name)


@contextmanager
def tracked_run(experiment: str, name: str, parameters: Mapping[str, Any]) -> Iterator[TrackedRun]:
    """Track what happens inside as one run; it is marked as failed where something is raised.

    Raises:
        ImportError: MLflow is not installed.
    """
    try:
        from mlflow import MlflowClient
        from mlflow.entities import Param
    except ImportError as error:
        raise ImportError(
            "runs are tracked with MLflow, which is not installed: pip install 'modplural[tracking]'"
        ) from error
    client = MlflowClient()
    found = client.get_experiment_by_name(experiment)
    experiment_id = client.create_experiment(experiment) if found is None else found.experiment_id
    run = client.create_run(experiment_id, run_name=name)
    run_id = run.info.run_id
    client.log_batch(run_id, params=[Param(key, str(value)) for key, value in parameters.items()])
    try:
        yield TrackedRun(client, run_id)
    except BaseException:
        client.set_terminated(run_id, "FAILED")
        raise
    client.set_terminated(run_id)
