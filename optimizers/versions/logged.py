"""A saved program kept with its run in MLflow, as a model that serves and loads, with what it scored.

This file knows runs; it must not know the registry, nor what versions are.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from ...programs.saving import MANIFEST, STATE, Manifest, read_manifest
from ..mlflow_store import tracking_client
from ..tracking import TrackedDataset, TrackedRun
from .artifact import PROGRAM, write_model
from .scores import Scores

if TYPE_CHECKING:
    from mlflow import MlflowClient

CONTENT_TAG = "modplural.content"
"""Tag of a model and of a version: tells the program and its scores from all others."""


def log_program(folder: Path, run: TrackedRun, scores: Scores | None = None) -> str:
    """Keep a saved program with its run, where `runs:/<run>/program` finds it; once, however often this is called.

    Returns:
        The id of the model in MLflow.

    Raises:
        SavedProgramError: The folder holds no saved program.
    """
    manifest, content = read_manifest(folder), content_digest(folder, scores)
    client = tracking_client()
    outputs = client.get_run(run.run_id).outputs
    for output in outputs.model_outputs if outputs else ():
        if client.get_logged_model(output.model_id).tags.get(CONTENT_TAG) == content:
            return str(output.model_id)
    return _log_model(client, run, folder, manifest, scores)


def content_digest(program: Path, scores: Scores | None) -> str:
    """Digest of a saved program and what it scored."""
    parts = [(program / name).read_bytes() for name in (MANIFEST, STATE)]
    parts.append(b"" if scores is None else scores.model_dump_json().encode())
    return hashlib.sha256(b"\n".join(parts)).hexdigest()


def log_scores(run: TrackedRun, scores: Scores) -> None:
    """Keep what was scored with a run, and on what."""
    found = {scores.figure: scores.value, "n": float(scores.n), **scores.others}
    if scores.low is not None and scores.high is not None:
        found |= {f"{scores.figure}/low": scores.low, f"{scores.figure}/high": scores.high}
    run.log_metrics({f"{scores.split}/{figure}": value for figure, value in found.items()})
    run.log_dataset(TrackedDataset(scores.task, scores.digest, scores.source, scores.n), scores.split)


def _log_model(client: MlflowClient, run: TrackedRun, program: Path, manifest: Manifest, scores: Scores | None) -> str:
    """Keep the program as a model of its run; the model's id."""
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    tags = {CONTENT_TAG: content_digest(program, scores)}
    logged = client.create_logged_model(run.experiment_id, PROGRAM, run.run_id, tags=tags, model_type=manifest.program)
    model = Model(run_id=run.run_id, model_uuid=logged.model_id, model_id=logged.model_id)
    with TemporaryDirectory() as work:
        target = Path(work, PROGRAM)
        write_model(target, program, model, None if scores is None else scores.model_dump_json())
        client.log_model_artifacts(logged.model_id, str(target))
    client.finalize_logged_model(logged.model_id, "READY")
    client.log_outputs(run.run_id, [LoggedModelOutput(logged.model_id, 0)])
    return str(logged.model_id)
