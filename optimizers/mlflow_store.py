"""MLflow's store, where runs and versions are kept: its address, its place for files, and what is wrong with it.

The store is MLflow's own choice (`MLFLOW_TRACKING_URI`, else `mlflow.db` in the current folder); artifacts of a SQLite
store lie beside its file, whatever folder a command runs in. This file knows stores; it must not know runs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout

from ..programs.errors import redacted

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Experiment

ARTIFACTS = "mlruns"
"""Folder beside a SQLite store that holds the files of its runs."""

_SQLITE = "sqlite:///"
_MAKING = 120
"""Seconds after which another process is not waited for any longer."""


_PATIENCE = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}
"""How long a server that has not answered yet is asked again, where the environment does not say; MLflow's own settings
take minutes to find out that there is none."""


class StoreError(OSError):
    """The store cannot be read or written; the message says which one, and why."""


class NoStoreError(StoreError):
    """There is no store yet, and so nothing to read."""


def tracking_client() -> MlflowClient:
    """A client of the store that the environment names; a SQLite store is made where it is missing.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: The server does not answer, or another process does not come to an end with making the store.
    """
    store = store_uri()
    file = _sqlite_file(store)
    if file is not None:
        _made(file)
    elif store.startswith(("http://", "https://")):
        _answered(store)
    client: MlflowClient = _mlflow().MlflowClient()
    return client


def reading_client() -> MlflowClient:
    """A client to read with: a SQLite store that is missing is not made.

    Raises:
        ImportError: MLflow is not installed.
        NoStoreError: It is missing.
        StoreError: As for `tracking_client`.
    """
    file = _sqlite_file(store_uri())
    if file is not None and not file.exists():
        raise NoStoreError(
            f"there is no store {shown_store()}, and so no run or version to read. Work in the folder that has one, or"
            f" name it: MLFLOW_TRACKING_URI={_SQLITE}/path/to/mlflow.db"
        )
    return tracking_client()


@cache
def _answered(store: str) -> None:
    """See that a server is there before work is begun whose results it is to keep; asked once in a process."""
    with reaching_store(), _patience():
        _mlflow().MlflowClient(store).search_experiments(max_results=1)


@contextmanager
def _patience() -> Iterator[None]:
    """MLflow's settings for requests to a server, as far as nobody has set them."""
    ours = {name: value for name, value in _PATIENCE.items() if name not in os.environ}
    os.environ.update(ours)
    try:
        yield
    finally:
        for name in ours:
            os.environ.pop(name, None)


@cache
def _made(file: Path) -> None:
    """Have MLflow make the tables of a SQLite store, or bring them up to date: two processes at once would fail."""
    with reaching_store():
        try:
            with FileLock(file.with_name(f".{file.name}.lock"), timeout=_MAKING):
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
    """The id of an experiment, which is made where it is missing.

    Raises:
        StoreError: Its files have their place where the store was before.
    """
    from mlflow.exceptions import MlflowException

    found, root = client.get_experiment_by_name(name), artifact_root(client.tracking_uri)
    if found is None:
        try:
            return str(client.create_experiment(name, artifact_location=None if root is None else str(root / name)))
        except MlflowException:  # another process may have made it in the meantime
            found = client.get_experiment_by_name(name)
            if found is None:
                raise
    check_place(client, found)
    return str(found.experiment_id)


def check_places(client: MlflowClient) -> None:
    """Refuse a store that was moved; see `check_place`."""
    for experiment in client.search_experiments(filter_string="name LIKE 'modplural-%'"):
        check_place(client, experiment)


def check_place(client: MlflowClient, experiment: Experiment) -> None:
    """Refuse an experiment of a store that was moved: its files would be looked for, and written, where it was.

    Raises:
        StoreError: It was; the message says what to do.
    """
    file, location = _sqlite_file(client.tracking_uri), experiment.artifact_location.removeprefix("file://")
    former = Path(location).parent
    if file is None or "://" in location or former.resolve() == file.parent / ARTIFACTS:
        return
    said = f"{shown_store()} was moved: MLflow keeps the places of files, and would read and write them in {former}."
    if former.parent.exists():
        raise StoreError(
            f"{said} There is a folder still. If this one is a copy, use the store there,"
            f" MLFLOW_TRACKING_URI={_SQLITE}{former.parent / file.name}, or move {file} away to begin a new one"
        )
    raise StoreError(
        f"{said} Move the folder back, or make a link in its old place: ln -s {file.parent} {former.parent}"
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
    from sqlalchemy.exc import SQLAlchemyError  # bare where MLflow makes its tables

    try:
        yield
    except StoreError:
        raise
    except (failure, SQLAlchemyError, OSError) as error:
        lines = redacted(str(error)).splitlines() or [type(error).__name__]
        raise StoreError(
            f"{shown_store()} cannot be used: {lines[0]}. MLFLOW_TRACKING_URI names another store"
        ) from error
