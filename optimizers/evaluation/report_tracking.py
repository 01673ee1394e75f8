"""An evaluation as a run in MLflow: on what, with which programs, every figure with its interval, and the reports.

No prompt, address or key of an LM is among it: programs are told by their digests, and reports hold none. This file
knows evaluations and names in MLflow; runs themselves are known to `tracking`.
"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ...data import write_atomic
from ...programs.errors import redacted
from ..tracking import TrackedDataset, TrackedRun, tracked_run
from .result import EvaluatedTask, Evaluation

EXPERIMENT = "modplural-evaluation"

RUN = "mlflow-run"
"""File in the folder of an evaluation that names its run, until that has ended well."""

_NOT_IN_NAMES = re.compile(r"[^\w\-. /]", re.ASCII)
_LONGEST_NAME = 250
_LONGEST_VALUE = 500
"""Of a parameter, which is what every version of MLflow takes."""


@contextmanager
def evaluation_run(tasks: Iterable[str], folder: str | Path, experiment: str = EXPERIMENT) -> Iterator[TrackedRun]:
    """Open the run of an evaluation before it begins, so that traces can be linked to it; it ends with the block.

    An evaluation of the same tasks that was stopped in the folder goes on in its run.

    Args:
        tasks: Their names, which the run is called after.
        folder: The folder of the evaluation; made where it is missing.
        experiment: Where the run belongs; made where it is missing.

    Raises:
        ImportError: MLflow is not installed.
    """
    name, noted = ", ".join(tasks), Path(folder, RUN)
    begun, _, of = noted.read_text(encoding="utf-8").partition("\n") if noted.is_file() else ("", "", "")
    with tracked_run(experiment, name, {}, begun if of == name else None) as run:
        noted.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(noted, f"{run.run_id}\n{name}".encode())
        yield run
        noted.unlink()


def log_evaluation(
    evaluation: Evaluation,
    reports: str | Path | None = None,
    *,
    run: TrackedRun | None = None,
    experiment: str = EXPERIMENT,
) -> str:
    """Log an evaluation as one run.

    Metrics are called `<task>/<method>/<figure>`, and with `low`, `high` and `n` at the end for the 95% interval and
    the number of rows; those of comparisons `<task>/<method> against <other>/<figure>`, with `p` for the corrected
    p-value.

    Args:
        evaluation: What was found.
        reports: A folder, such as `write_reports` fills; all in it is kept with the run.
        run: The run, where it is open already.
        experiment: Where a new run belongs; made where it is missing.

    Returns:
        The run's id.

    Raises:
        ImportError: MLflow is not installed.
    """
    if run is None:
        with tracked_run(experiment, ", ".join(task.name for task in evaluation.tasks), {}) as opened:
            return log_evaluation(evaluation, reports, run=opened)
    for task in evaluation.tasks:
        run.log_dataset(TrackedDataset(task.name, task.digest, task.data, task.records), task.split or "all")
    run.log_metrics({name: value for name, value in metrics(evaluation) if math.isfinite(value)})
    if reports is not None:
        run.log_folder(Path(reports), "reports")
    run.log_parameters(parameters(evaluation))  # last, because they cannot be changed if the run is gone on with
    return run.run_id


def parameters(evaluation: Evaluation) -> dict[str, str]:
    """What the evaluation was made of, by name; nothing secret."""
    found: dict[str, object] = {}
    for task in evaluation.tasks:
        found.update({f"{task.name}/{name}": value for name, value in _described(task) if value is not None})
    found.update({f"{one.task}/{one.method}/program": one.program for one in evaluation.figures})
    for name, value in evaluation.settings.items():
        nested = value.items() if isinstance(value, Mapping) else [(None, value)]
        found.update({f"{name}/{part}" if part else str(name): each for part, each in nested})
    return {_name(name): redacted(str(value))[:_LONGEST_VALUE] for name, value in found.items()}


def metrics(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """Every number by its name; NaN where there was no row."""
    for found in evaluation.figures:
        for name, figure in found.figures.items():
            stem = f"{found.task}/{found.method}/{name}"
            yield from _spread(stem, figure.value, figure.low, figure.high, figure.n)
        yield _name(f"{found.task}/{found.method}/failed"), float(found.failed)
    for one in evaluation.comparisons:
        stem, seen = f"{one.task}/{one.method} against {one.against}/{one.figure}", one.comparison
        yield from _spread(stem, seen.difference, seen.low, seen.high, seen.n)
        yield _name(f"{stem}/p"), one.corrected
    yield "share failed", evaluation.share_failed


def _described(task: EvaluatedTask) -> Iterator[tuple[str, object]]:
    for name in ("data", "split", "digest", "records", "unreadable", "scorer"):
        yield name, getattr(task, name)


def _spread(stem: str, value: float, low: float, high: float, n: int) -> Iterator[tuple[str, float]]:
    yield _name(stem), value
    for name, part in {"low": low, "high": high, "n": float(n)}.items():
        yield _name(f"{stem}/{name}"), part


def _name(text: str) -> str:
    return _NOT_IN_NAMES.sub("_", text)[:_LONGEST_NAME]
