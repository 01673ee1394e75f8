"""MLflow's store where it is not: nothing is made by reading, and a server that is gone is told at once."""

import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modplural import load
from modplural.optimizers.mlflow_store import NoStoreError, StoreError, tracking_client
from modplural.optimizers.tracking import opened_run
from modplural.optimizers.versions import fetched, find, promote, rollback, versions

RETRIES = "MLFLOW_HTTP_REQUEST_MAX_RETRIES"


@pytest.fixture
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder without a store, where one would be made."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a server that is not there."""
    with socket.socket() as place:
        place.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{place.getsockname()[1]}"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    return address


def fetch(uri: str) -> None:
    with fetched(uri):
        raise AssertionError("it was fetched")


@pytest.mark.parametrize(
    "read",
    [
        lambda: versions("overton"),
        lambda: find("overton@champion"),
        lambda: promote("overton/1"),
        lambda: rollback("overton"),
        lambda: fetch("models:/overton/1"),
        lambda: load("models:/overton@champion"),
        lambda: load("runs:/" + "0" * 32 + "/program"),
        lambda: opened_run("0" * 32),
    ],
)
def test_reading_makes_no_store(read: Callable[[], Any], nowhere: Path) -> None:
    with pytest.raises(
        NoStoreError, match=rf"^there is no store sqlite:///{nowhere}/mlflow.db, .*MLFLOW_TRACKING_URI="
    ):
        read()
    assert not list(nowhere.iterdir())


def test_without_a_store_there_are_no_versions(nowhere: Path) -> None:
    assert versions() == []
    assert not list(nowhere.iterdir())


def test_a_server_that_is_gone_is_not_waited_for(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[dict[str, str]] = []
    monkeypatch.setattr(
        "mlflow.MlflowClient.search_experiments",
        lambda *_, **__: seen.append({name: os.environ[name] for name in os.environ if name.startswith("MLFLOW_HTTP")}),
    )
    tracking_client()
    assert seen == [{RETRIES: "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "10"}]
    assert RETRIES not in os.environ
    tracking_client()
    assert len(seen) == 1, "a server that has answered is not asked again"


def test_what_the_environment_says_of_requests_counts(gone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(RETRIES, "0")
    for use in (tracking_client, versions, lambda: load("models:/overton@champion")):
        with pytest.raises(StoreError, match=rf"^{gone} cannot be used: .*MLFLOW_TRACKING_URI names another store"):
            use()
    assert os.environ[RETRIES] == "0"
