"""Runs in MLflow: how parameters, curves, datasets and files get there.

This file knows runs; where they are kept is known to `mlflow_store`, whose names for users of runs it hands on. It must
not know what is tracked.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ..programs.errors import redacted
from .mlflow_store import (
    StoreError,
    check_place,
    experiment_id,
    reaching_store,
    reading_client,
    shown_store,
    tracking_client,
)

if TYPE_CHECKING:
    from mlflow import MlflowClient

__all__ = ["StoreError", "TrackedDataset", "TrackedRun", "opened_run", "shown_store", "tracked_run", "tracking_client"]

T = TypeVar("T")

_PARAMETERS_AT_ONCE, _METRICS_AT_ONCE = 100, 1000
"""What MLflow takes in one batch."""
_RUNS_AT_MOST = 50_000
"""What MLflow gives in one answer."""
_NOT_IN_NAMES = re.compile(r"[^\w\-. /]", re.ASCII)
_LONGEST_NAME = 250
"""Of a metric, and what MLflow takes in it."""
_DIGEST = 36
"""Characters that MLflow keeps of a dataset's digest; all of it stands in the dataset's profile."""


@dataclass(frozen=True)
class TrackedDataset:
    """What a run read.

    Attributes:
        name: What it is, such as a task's name.
        digest: Tells it from all others, such as the SHA-256 of its records.
        source: Where it is from.
        rows: Number of records.
    """

    name: str
    digest: str
    source: str
    rows: int


class TrackedRun:
    """One MLflow run, written through a client of its own, so that it is nobody's global active run.

    Attributes:
        run_id: The run.
        experiment_id: The experiment that it belongs to.
    """

    def __init__(self, client: MlflowClient, run_id: str, experiment_id: str) -> None:
        """Write to a run that was created."""
        self._client = client
        self.run_id = run_id
        self.experiment_id = experiment_id

    def log_metrics(self, metrics: Mapping[str, float], step: int = 0) -> None:
        """Add a point to each curve; numbers that are none (NaN) are left out."""
        from mlflow.entities import Metric

        now = time.time_ns() // 1_000_000
        points = [
            Metric(_NOT_IN_NAMES.sub("_", name)[:_LONGEST_NAME], value, now, step)
            for name, value in metrics.items()
            if math.isfinite(value)
        ]
        for some in _parts(points, _METRICS_AT_ONCE):
            self._client.log_batch(self.run_id, metrics=some)

    def log_parameters(self, parameters: Mapping[str, Any]) -> None:
        """Keep settings as texts, without what may be secret in them."""
        from mlflow.entities import Param

        found = [Param(key, redacted(str(value))) for key, value in parameters.items()]
        for some in _parts(found, _PARAMETERS_AT_ONCE):
            self._client.log_batch(self.run_id, params=some)

    def log_dataset(self, dataset: TrackedDataset, context: str) -> None:
        """Say what the run read, and for what: `train`, `dev` or `test`."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        source = json.dumps({"source": redacted(dataset.source)})
        profile = json.dumps({"rows": dataset.rows, "digest": dataset.digest})
        entity = Dataset(dataset.name, dataset.digest[:_DIGEST], "local", source, profile=profile)
        self._client.log_inputs(self.run_id, [DatasetInput(entity, [InputTag("mlflow.data.context", context)])])

    def log_file(self, file: Path, folder: str | None = None) -> None:
        """Keep a file with the run."""
        self._client.log_artifact(self.run_id, str(file), folder)

    def log_folder(self, folder: Path, name: str) -> None:
        """Keep a folder's files with the run."""
        self._client.log_artifacts(self.run_id, str(folder), name)

    def stop(self) -> None:
        """Say that somebody stopped it; whoever goes on with it says otherwise."""
        self._client.set_terminated(self.run_id, "KILLED")

    def count_nested(self) -> int:
        """How many runs there are below this one."""
        below = f"tags.`mlflow.parentRunId` = '{self.run_id}'"
        return len(self._client.search_runs([self.experiment_id], below, max_results=_RUNS_AT_MOST))

    def nested(self, name: str, parameters: Mapping[str, Any]) -> AbstractContextManager[TrackedRun]:
        """Track a part of the work, such as one trial, as a run below this one."""
        return _run(self._client, self.experiment_id, name, parameters, {"mlflow.parentRunId": self.run_id})


def tracked_run(
    experiment: str, name: str, parameters: Mapping[str, Any], begun: str | None = None
) -> AbstractContextManager[TrackedRun]:
    """Track what happens inside as one run; it is marked as failed where something is raised, as killed after Ctrl-C.

    Args:
        experiment: The experiment that it belongs to; it is made where it is missing.
        name: What the run is called.
        parameters: Settings that it keeps.
        begun: Id of the run that is gone on with, such as one whose process was killed; where the store has it no
            more, or when None, a new one is made.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: The store cannot be used.
    """
    with reaching_store():
        client = tracking_client()
        before = None if begun is None else _found(client, begun)
        if before is None:
            return _run(client, experiment_id(client, experiment), name, parameters, {})
        client.update_run(before.run_id, "RUNNING")
        return _watched(client, before)


def opened_run(run_id: str) -> TrackedRun:
    """A run that is there, to add to it.

    Raises:
        ImportError: MLflow is not installed.
        LookupError: The store has none of that id.
        StoreError: The store was moved, or there is none.
    """
    run = _found(reading_client(), run_id)
    if run is None:
        raise LookupError(f"there is no run {run_id!r} in {shown_store()}")
    return run


def _parts(items: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), size):
        yield items[start : start + size]


def _run(
    client: MlflowClient, experiment: str, name: str, parameters: Mapping[str, Any], tags: dict[str, Any]
) -> AbstractContextManager[TrackedRun]:
    run = TrackedRun(client, client.create_run(experiment, run_name=name, tags=tags).info.run_id, experiment)
    run.log_parameters(parameters)
    return _watched(client, run)


@contextmanager
def _watched(client: MlflowClient, run: TrackedRun) -> Iterator[TrackedRun]:
    try:
        yield run
    except BaseException as error:
        client.set_terminated(run.run_id, "KILLED" if isinstance(error, KeyboardInterrupt) else "FAILED")
        raise
    client.set_terminated(run.run_id)


def _found(client: MlflowClient, run_id: str) -> TrackedRun | None:
    from mlflow.exceptions import MlflowException

    try:
        info = client.get_run(run_id).info
    except MlflowException:  # another store, or somebody deleted it for good
        return None
    if info.lifecycle_stage != "active":
        return None
    check_place(client, client.get_experiment(info.experiment_id))
    return TrackedRun(client, run_id, info.experiment_id)
