"""`modplural serve`: a saved program or a version behind HTTP, with the JSON of `mlflow models serve`."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from .mlflow_log import quiet_mlflow
from .ports import LOOPBACK, PortOption, listening_socket
from .session import checking, session

_PATIENCE_S = "600"
"""MLflow gives a request a minute; an LM on a laptop's processor takes longer over a batch of questions."""


def serve(
    version: Annotated[
        str, typer.Argument(metavar="VERSION|FOLDER", help="Such as overton@champion or overton/3; or a saved program.")
    ],
    port: PortOption = 5001,
) -> None:
    """Answer questions over HTTP on this machine, until Ctrl-C."""
    with session() as terminal, listening_socket(port) as listener:
        os.environ.setdefault("MLFLOW_SCORING_SERVER_REQUEST_TIMEOUT", _PATIENCE_S)
        with quiet_mlflow(), terminal.notes.status("Loading"), checking(), _located(version) as folder:
            from ..optimizers.versions.serving import serving_app

            app = serving_app(folder)
        address = f"http://{LOOPBACK}:{listener.getsockname()[1]}/invocations"
        terminal.out.print(f"{version} answers at {address}, until Ctrl-C.", markup=False, soft_wrap=True)
        sys.stdout.flush()
        _run(app, listener)


def _run(app: Any, listener: Any) -> None:
    import uvicorn

    uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


@contextmanager
def _located(version: str) -> Iterator[Path]:
    """The folder of a saved program, of an address, or of a version's name."""
    from ..optimizers.versions import fetched, find, is_version

    if Path(version).expanduser().is_dir():
        yield Path(version).expanduser()
    else:
        with fetched(version if is_version(version) else find(version).uri) as folder:
            yield folder
