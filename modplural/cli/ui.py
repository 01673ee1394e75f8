"""`modplural ui`: MLflow's user interface on the project's store, for this machine only."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from tempfile import TemporaryFile
from typing import IO

from .ports import LOOPBACK, PortOption, free_port
from .session import Terminal, session

_READY_S = 120.0
_STOP_S = 10.0
_SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""Nothing is sent to MLflow's makers, and no workers are started for jobs that nobody here gives."""


def ui(port: PortOption = 5000) -> None:
    """Show the project's runs and versions in MLflow's user interface, until Ctrl-C."""
    with session() as terminal:
        from ..optimizers.mlflow_store import shown_store, store_uri

        store = store_uri()
        if store.startswith(("http://", "https://")):
            terminal.out.print(f"The store is a server with its own user interface: {shown_store()}", soft_wrap=True)
            return
        with TemporaryFile() as log:
            _serve(terminal, store, free_port(port), log)


def _serve(terminal: Terminal, store: str, port: int, log: IO[bytes]) -> None:
    from ..optimizers.mlflow_store import shown_store

    address = f"http://{LOOPBACK}:{port}"
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    # A session of its own, so that Ctrl-C reaches this process alone, which then stops all of the server.
    server = subprocess.Popen(
        _command(store, port),
        # The address of a store may hold a password, and the arguments of a process are shown to everybody.
        env={**os.environ, **_SETTINGS, "MLFLOW_BACKEND_STORE_URI": store},
        stdout=log,
        stderr=log,
        start_new_session=True,
    )
    try:
        with terminal.notes.status("Starting MLflow"):
            _wait_until_ready(server, address, log)
        terminal.out.print(f"MLflow shows {shown_store()} at {address}, until Ctrl-C.", markup=False, soft_wrap=True)
        sys.stdout.flush()
        server.wait()
    finally:
        _stop(server)


def _command(store: str, port: int) -> list[str]:
    from ..optimizers.mlflow_store import artifact_root

    command = [sys.executable, "-m", "mlflow", "server", "--host", LOOPBACK, "--port", str(port), "--workers", "1"]
    root = artifact_root(store)
    return command if root is None else [*command, "--default-artifact-root", str(root)]


def _wait_until_ready(server: subprocess.Popen[bytes], address: str, log: IO[bytes]) -> None:
    deadline = time.monotonic() + _READY_S
    while time.monotonic() < deadline and server.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{address}/health", timeout=5):
            return
        time.sleep(0.2)
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()[-5:]
    ended = "did not answer in time" if server.poll() is None else f"ended with code {server.returncode}"
    raise RuntimeError("\n".join([f"MLflow {ended}; its last words were:", *said]))


def _stop(server: subprocess.Popen[bytes]) -> None:
    """Stop the server with all its processes."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(server.pid, number)
        with suppress(subprocess.TimeoutExpired):
            server.wait(_STOP_S)
