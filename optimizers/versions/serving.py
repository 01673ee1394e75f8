"""A saved program as a web application: MLflow's model server over it, in this process and environment.

The model is written anew from the JSON of the program, so that no code that came with a version is run. This file knows
how to serve; where a program is from is for others.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...programs.saving import read_manifest
from .artifact import quiet_pyfunc, write_model


def serving_app(program: Path) -> Any:
    """The ASGI application: `POST /invocations` with `{"inputs": [{"query": ...}]}` gives `{"predictions": [...]}`.

    Args:
        program: The folder of a saved program.

    Raises:
        SavedProgramError: It is none, or one that cannot be made here.
    """
    read_manifest(program)  # what is no saved program is said to be none
    with TemporaryDirectory() as work:
        target = Path(work, "model")
        write_model(target, program)
        with quiet_pyfunc():
            from mlflow.pyfunc import load_model
            from mlflow.pyfunc.scoring_server import init

            return init(load_model(str(target)))
