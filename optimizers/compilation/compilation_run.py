"""A compilation as a run in MLflow: on what, every figure with its interval, a run for each trial, report and program.

The run is opened before the search and filled when all is decided, so that a store that cannot be written is noticed
early, and a search never waits for one. A compilation that was stopped goes on in its run, and adds nothing twice. This
file knows reports and names in MLflow; runs themselves are known to `tracking`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from ...programs.program import Program
from ..metrics import Comparison, Figure
from ..traces import RowTraces
from ..tracking import TrackedDataset, TrackedRun, opened_run, tracked_run
from ..versions import log_program, report_scores
from .parts import Parts
from .plots import write_plot
from .report import CompileReport, PartReport
from .report_text import markdown
from .trials import TrialLog

EXPERIMENT = "modplural-compilation"

_NOTE, _DATASETS = "MLflow run", "datasets in it"
"""Notes of a log: the run that a compilation goes on in, and the digests of what it is told to have read."""


@contextmanager
def compilation_run(parts: Parts, program: str, settings: Mapping[str, Any], log: TrialLog) -> Iterator[TrackedRun]:
    """Open the run of a compilation; it ends with the block.

    Args:
        parts: The records.
        program: Type of the program.
        settings: What tells the compilation from others.
        log: Remembers the run, for a compilation that goes on.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: The store cannot be used.
    """
    name = f"{program} on {parts.task}, {settings['strategy']}"
    with tracked_run(EXPERIMENT, name, dict(_flat({"program": program, **settings})), log.notes.get(_NOTE)) as run:
        if log.notes.get(_NOTE) != run.run_id:
            log.notes[_NOTE], log.notes[_DATASETS] = run.run_id, []
        for part in (parts.train, parts.dev, *parts.scored_last):
            if part.digest not in log.notes[_DATASETS]:  # records from elsewhere may have been given later
                run.log_dataset(TrackedDataset(parts.task, part.digest, part.source, len(part.examples)), part.name)
                log.notes[_DATASETS].append(part.digest)
        log.write()
        yield run


def log_compilation(run: TrackedRun, report: CompileReport, program: Program) -> None:
    """Fill the run with what was found; see `metrics` for the names of numbers."""
    run.log_metrics(dict(metrics(report)))
    for number, trial in list(enumerate(report.trials, start=1))[run.count_nested() :]:
        with run.nested(f"{number}: {trial.stage}", {"strategy": trial.stage, "candidate": trial.what}) as nested:
            numbers = {"score": trial.score, "n": trial.n, "failed": trial.failed, "seconds": trial.seconds}
            nested.log_metrics({**numbers, "LM calls": trial.calls})
    with TemporaryDirectory() as work:
        folder = Path(work, "report")
        folder.mkdir()
        (folder / "report.md").write_text(markdown(report), encoding="utf-8")
        (folder / "report.json").write_bytes(report.encoded())
        write_plot(report, folder)
        run.log_folder(folder, "report")
        program.save(Path(work, "program"))
        log_program(Path(work, "program"), run, report_scores(report.to_json()))
    RowTraces.flush()


def stop_run(state: Path) -> None:
    """Say of the run of a compilation, which has such a file of trials, that somebody stopped it."""
    run_id = TrialLog.read_notes(state).get(_NOTE)
    if run_id is not None:
        opened_run(run_id).stop()


def metrics(report: CompileReport) -> Iterator[tuple[str, float]]:
    """Every number by its name.

    Figures are called `test/before/<figure>`, `test/after/<figure>` and `test/<baseline>/<figure>`, those of responses
    that were cut for a comparison `test/after against <baseline>/<figure>`, paired differences `test/after minus
    before/<figure>`; with `low` and `high` at the end for the 95% interval.
    """
    for part in report.parts:
        yield from _figures(f"{part.name}/before", part.before)
        yield from _figures(f"{part.name}/after", part.after)
        yield f"{part.name}/before/failed", float(part.failed_before)
        yield f"{part.name}/after/failed", float(part.failed_after)
        yield from _paired(f"{part.name}/after minus before/{next(iter(part.before))}", part.comparison)
        yield from _beside(part, report.primary)
    yield "LM calls", float(sum(tokens.calls for tokens in report.tokens.values()))
    yield "US dollars", sum(report.costs.values())
    yield "seconds", report.seconds


def _beside(part: PartReport, primary: str) -> Iterator[tuple[str, float]]:
    for one in part.beside:
        yield from _figures(f"{part.name}/{one.name}", one.baseline)
        if one.program != part.after:
            yield from _figures(f"{part.name}/after against {one.name}", one.program)
        yield from _paired(f"{part.name}/after minus {one.name}/{primary}", one.comparison)


def _figures(stem: str, figures: Mapping[str, Figure]) -> Iterator[tuple[str, float]]:
    for name, figure in figures.items():
        yield f"{stem}/{name}", figure.value
        yield f"{stem}/{name}/low", figure.low
        yield f"{stem}/{name}/high", figure.high


def _paired(stem: str, found: Comparison) -> Iterator[tuple[str, float]]:
    yield stem, found.difference
    yield f"{stem}/low", found.low
    yield f"{stem}/high", found.high
    yield f"{stem}/p", found.p_value


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Settings by name, those within others with both names."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat({f"{name}/{part}": each for part, each in value.items()})
        elif value is not None:
            yield name, value
