"""A version as files: an MLflow model whose one artifact is the JSON folder of a saved program.

MLflow serves such a model by running `CODE`, which it calls models from code; there is no pickle in it. Our own loading
reads the JSON and runs nothing of what it finds. This file knows files and addresses; it must not know the registry.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ...programs.errors import redacted
from ...programs.saving import MANIFEST, STATE
from ..mlflow_store import check_places, reaching_store, reading_client, shown_store
from .errors import VersionError

if TYPE_CHECKING:
    from mlflow.models import Model

PROGRAM = "program"
"""The artifact's name, and the name of the model within its run."""

SCORES = "scores.json"
"""What the version scored, beside the program."""

SCHEMES = ("models:/", "runs:/")

CODE = """\
from mlflow.models import set_model

from modplural.optimizers.versions.served import ServedProgram

set_model(ServedProgram())
"""
"""What MLflow runs to serve a version: nothing but a name of the installed package."""


def is_version(source: object) -> bool:
    """Whether it is the address of a version, and not a folder."""
    return str(source).startswith(SCHEMES)


def write_model(target: Path, program: Path, model: Model | None = None, scores: str | None = None) -> None:
    """Write a saved program as an MLflow model.

    Args:
        target: The folder that is made.
        program: The folder of the saved program.
        model: What MLflow knows of it already, such as its run.
        scores: JSON of what it scored.
    """
    with TemporaryDirectory() as work:
        code, copied = Path(work, "served_program.py"), Path(work, PROGRAM)
        code.write_text(CODE, encoding="utf-8")
        copied.mkdir()
        for name in (MANIFEST, STATE):
            shutil.copyfile(program / name, copied / name)
        if scores is not None:
            (copied / SCORES).write_text(scores, encoding="utf-8")
        settings: dict[str, Any] = {} if model is None else {"mlflow_model": model}
        with quiet_pyfunc():
            from mlflow.pyfunc import save_model

            save_model(
                str(target),
                python_model=str(code),
                artifacts={PROGRAM: str(copied)},
                pip_requirements=[f"modplural=={version('modplural')}", f"mlflow=={version('mlflow')}"],
                **settings,
            )


@contextmanager
def quiet_pyfunc() -> Iterator[None]:
    """Without the warnings that MLflow gives of its own code when it is imported."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", ".*Any type hint", UserWarning)
        yield


@contextmanager
def fetched(uri: str) -> Iterator[Path]:
    """The folder of a version's saved program, for as long as this block lasts.

    Args:
        uri: `models:/<name>/<number>`, `models:/<name>@<alias>` or `runs:/<run>/program`.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: The store cannot be used, or was moved.
        VersionError: There is no such version, or what is there is no saved program.
    """
    try:
        from mlflow.artifacts import download_artifacts
        from mlflow.exceptions import MlflowException
    except ImportError as error:
        raise ImportError(
            f"{uri} is kept by MLflow, which is not installed: pip install 'modplural[tracking]'"
        ) from error
    client = reading_client()
    with TemporaryDirectory() as work:
        try:
            folder = Path(download_artifacts(artifact_uri=f"{uri}/artifacts/{PROGRAM}", dst_path=work))
        except (MlflowException, OSError) as error:
            with reaching_store():
                check_places(client)
            raise VersionError(f"{uri} cannot be fetched from {shown_store()}: {redacted(str(error))}") from error
        if not (folder / MANIFEST).is_file():
            raise VersionError(
                f"{uri} holds no saved program: there is no artifacts/{PROGRAM}/{MANIFEST} in it. Versions are made by"
                " `modplural versions register`"
            )
        yield folder
