"""`modplural run`: a program over a file of benchmark records, with a progress bar, resumable."""

from __future__ import annotations

from collections import defaultdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .adjusting import Changes, adjust
from .bar import Bar
from .options import (
    AtLeastOption,
    BaselineOption,
    MeasureOption,
    ModeOption,
    OnFailureOption,
    PoolOption,
    ProgramOption,
    SeedOption,
    SynthesisOption,
    make_program,
)
from .session import FAILED, INTERRUPTED, Terminal, WrongUsageError, checking, described, interruptible, leave, session

if TYPE_CHECKING:
    from ..data import Task
    from ..optimizers import Progress, RunReport
    from ..programs.program import Program

_WRONG_PATH = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)


def run(
    records: Annotated[Path, typer.Argument(metavar="FILE", help="Benchmark records: a JSON list.")],
    output: Annotated[Path, typer.Option(metavar="FILE", help="Gets the records with their answers.")],
    mode: ModeOption = None,
    baseline: BaselineOption = None,
    program: ProgramOption = None,
    pool: PoolOption = None,
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="The task of the records, where they do not show it.")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Run the first so many records only.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Records under way at the same time.")] = 8,
    seed: SeedOption = None,
    on_failure: OnFailureOption = None,
    at_least: AtLeastOption = None,
    measure: MeasureOption = None,
    synthesis: SynthesisOption = None,
) -> None:
    """Answer the records of a benchmark file; the same command continues a run that was interrupted."""
    with session() as terminal:
        from ..data import find_task

        with checking():
            named = find_task(task) if task is not None else None
        made = make_program(mode, baseline, program, pool, seed)
        adjust(made, Changes(on_failure, at_least, measure, synthesis))
        report = run_records(terminal, made, records, output, task=named, limit=limit, workers=workers)
        if not report.complete:
            raise typer.Exit(FAILED)


def run_records(
    terminal: Terminal,
    program: Program,
    records: Path,
    output: Path,
    *,
    task: Task | None = None,
    limit: int | None,
    workers: int,
) -> RunReport:
    """Run a program over records with a progress bar, and say what became of them."""
    from ..data import RecordFileError
    from ..optimizers import RunUsageError, journal_path, run_file

    try:
        with Bar(terminal, "records") as bar:
            draw = partial(_draw, bar)
            report = interruptible(
                lambda: run_file(program, records, output, task=task, limit=limit, workers=workers, on_progress=draw)
            )
    except KeyboardInterrupt:
        leave(f"Interrupted. What is answered is in {journal_path(output)}; the same command goes on.", INTERRUPTED)
    except (RecordFileError, RunUsageError, *_WRONG_PATH) as error:
        raise WrongUsageError(described(error)) from error
    _report(terminal, report)
    return report


def _draw(bar: Bar, progress: Progress) -> None:
    bar.draw(progress.done, progress.total, f"[red]{progress.failed} failed[/]" if progress.failed else "")


def _report(terminal: Terminal, report: RunReport) -> None:
    from . import show

    counts = {
        "answered now": report.answered,
        "answered before": report.resumed,
        "with one option only": len(report.settled),
        "failed": len(report.failed),
        "unreadable": len(report.bad),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    terminal.out.print(f"{report.output}: {report.rows} records of {report.task}, {said}", markup=False, soft_wrap=True)
    troubles: dict[tuple[str, str], list[int]] = defaultdict(list)
    for bad in report.bad:
        troubles["unreadable", bad.reason].append(bad.index)
    for failed in report.failed:
        troubles["failed", failed.error].append(failed.index)
    for index, failures in report.partial.items():
        for name, why in failures.items():
            troubles[f"without {name}", why].append(index)
    if troubles:
        rows = [[", ".join(map(str, indices)), what, why] for (what, why), indices in troubles.items()]
        terminal.out.print(show.listing(["records", "", ""], rows))
