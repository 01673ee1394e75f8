"""`modplural ui`: MLflow's interface on the project's store, and nothing left running after it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from modplural.optimizers.tracking import tracked_run

from .conftest import Run

MAIN = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); from modplural.cli import main; main()"
"""The command line, which hears Ctrl-C also where these tests run in the background."""


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_it_shows_the_store_until_it_is_stopped(number: signal.Signals, code: int, store: Path) -> None:
    with tracked_run("mine", "a run", {}):
        pass
    command = [sys.executable, "-c", MAIN, "ui", "--port", "0"]
    process = subprocess.Popen(command, env=os.environ.copy(), stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = line.split(" at ")[1].split(",")[0]
        assert line == f"MLflow shows sqlite:///{store / 'mlflow.db'} at {address}, until Ctrl-C.\n"
        assert "MLflow" in httpx.get(address, timeout=60).text
        found = httpx.get(f"{address}/api/2.0/mlflow/experiments/get-by-name?experiment_name=mine", timeout=60)
        assert found.json()["experiment"]["artifact_location"] == str(store / "mlruns" / "mine")
        process.send_signal(number)
        assert process.wait(30) == code
        with pytest.raises(httpx.ConnectError):
            httpx.get(address, timeout=5)
    finally:
        if process.poll() is None:
            process.terminate()
        process.communicate()


def test_a_server_has_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://me:secret@127.0.0.1:5000")
    result = run("ui")
    assert result.exit_code == 0
    assert result.stdout == "The store is a server with its own user interface: http://127.0.0.1:5000\n"
