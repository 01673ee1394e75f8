"""Runs in MLflow: where they are kept, and how parameters, curves, datasets and files get there.

The store is MLflow's own choice (`MLFLOW_TRACKING_URI`, else `mlflow.db` in the current folder); artifacts of a SQLite
store lie beside its file, whatever folder a command runs in. This file knows MLflow; it must not know what is tracked.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from filelock import FileLock, Timeout

from ..programs.errors import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient

ARTIFACTS = "mlruns"
"""Folder beside a SQLite store that holds the files of its runs."""

T = TypeVar("T")

_SQLITE = "sqlite:///"
_MAKING = 120
"""Seconds after which another process is not waited for any longer."""
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


class StoreError(OSError):
    """The store cannot be read or written; the message says which one, and why."""


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
    """
    run = _found(tracking_client(), run_id)
    if run is None:
        raise LookupError(f"there is no run {run_id!r} in {shown_store()}")
    return run


def tracking_client() -> MlflowClient:
    """A client of the store that the environment names.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: Another process does not come to an end with making the store.
    """
    file = _sqlite_file(store_uri())
    if file is not None:
        _made(file)
    client: MlflowClient = _mlflow().MlflowClient()
    return client


@cache
def _made(file: Path) -> None:
    """Have MLflow make the tables of a SQLite store, or bring them up to date: two processes at once would fail."""
    lock = FileLock(file.with_name(f".{file.name}.lock"), timeout=_MAKING)
    try:
        with reaching_store(), lock:
            _mlflow().MlflowClient(f"{_SQLITE}{file}").search_experiments(max_results=1)
    except Timeout as error:
        raise StoreError(
            f"another process has been making {file} for {_MAKING} seconds; wait for it, or end it, and try again"
        ) from error


def _mlflow() -> Any:
    try:
        import mlflow
    except ImportError as error:
        raise ImportError(
            "runs are tracked with MLflow, which is not installed: pip install 'modplural[tracking]'"
        ) from error
    return mlflow


def experiment_id(client: MlflowClient, name: str) -> str:
    """The id of an experiment, which is made where it is missing."""
    from mlflow.exceptions import MlflowException

    found, root = client.get_experiment_by_name(name), artifact_root(client.tracking_uri)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=None if root is None else str(root / name)))
        except MlflowException:  # another process may have made it in the meantime
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    _check_place(found.artifact_location, root)
    return str(found.experiment_id)


def _check_place(location: str, root: Path | None) -> None:
    """Refuse a store that was moved: its files would be looked for, and written, where it was.

    Raises:
        StoreError: It was; the message says what to do.
    """
    former = Path(location.removeprefix("file://")).parent
    if root is None or "://" in location.removeprefix("file://") or former.resolve() == root:
        return
    raise StoreError(
        f"{shown_store()} was moved: MLflow keeps the places of files, and has theirs as {former}, where new ones would"
        f" be written too, and they are in {root}. Move the folder back, or make a link in its old place:"
        f" ln -s {root.parent} {former.parent}"
    )


def store_uri() -> str:
    """The address of the store that the environment names; it may hold a password.

    Raises:
        ImportError: MLflow is not installed.
    """
    return str(_mlflow().get_tracking_uri())


def shown_store() -> str:
    """The address of the store, without passwords."""
    return redacted(store_uri())


def artifact_root(store: str) -> Path | None:
    """The folder for files beside a SQLite store; None for other stores, which know their own place."""
    file = _sqlite_file(store)
    return None if file is None else file.parent / ARTIFACTS


def _sqlite_file(store: str) -> Path | None:
    return Path(store.removeprefix(_SQLITE)).resolve() if store.startswith(_SQLITE) else None


@contextmanager
def reaching_store() -> Iterator[None]:
    """What MLflow says in this block when the store cannot be used, in one line and with a remedy.

    Raises:
        StoreError: It cannot.
    """
    failure = _mlflow().exceptions.MlflowException
    try:
        yield
    except (failure, OSError) as error:
        lines = redacted(str(error)).splitlines() or [type(error).__name__]
        raise StoreError(
            f"{shown_store()} cannot be used: {lines[0]}. MLFLOW_TRACKING_URI names another store"
        ) from error


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
    return TrackedRun(client, run_id, info.experiment_id) if info.lifecycle_stage == "active" else None
