"""`modplural evaluate`: methods beside one another on the six tasks, with progress, resumable, tracked where wanted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .adjusting import Changes
from .bars import TaskBars
from .evaluation_plans import (
    ChosenMethods,
    ChosenRecords,
    SplitName,
    make_judge,
    make_plans,
    make_scorer,
    names_in,
    opened,
)
from .mlflow_log import quiet_mlflow
from .named_lms import BASE
from .options import (
    AtLeastOption,
    MeasureOption,
    OnFailureOption,
    PoolOption,
    ProgramOption,
    SeedOption,
    SynthesisOption,
)
from .session import FAILED, INTERRUPTED, Terminal, WrongUsageError, checking, described, interruptible, leave, session

if TYPE_CHECKING:
    from ..optimizers.evaluation import Evaluation, Plan
    from ..optimizers.metrics import PairwiseJudge, Scorer
    from ..optimizers.tracking import TrackedRun


@dataclass(frozen=True)
class _Job:
    """What is evaluated, with what, and where it goes."""

    plans: Sequence[Plan]
    output: Path
    workers: int
    scorer: Scorer
    judge: PairwiseJudge | None
    reference: str
    seed: int
    traces: float

    def run(self, terminal: Terminal, tracked: TrackedRun | None) -> Evaluation:
        """Evaluate, with bars."""
        from ..optimizers.evaluation import JobTraces
        from ..optimizers.evaluation import evaluate as run

        traces = JobTraces(tracked, self.traces, self.seed) if tracked and self.traces else None
        settings: dict[str, Any] = {name: getattr(self, name) for name in ("scorer", "judge", "reference", "seed")}
        with TaskBars(terminal) as bars:
            found = interruptible(
                lambda: run(
                    self.plans,
                    self.output,
                    workers=self.workers,
                    on_progress=bars.show,
                    watch=traces.row if traces else None,
                    **settings,
                )
            )
        if traces:
            traces.flush()
        return found


def evaluate(
    task: Annotated[list[str], typer.Option(metavar="NAME[,NAME...]", help="The tasks; see 'modplural tasks'.")],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Gets the results as they come, and keeps them.")],
    method: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[,NAME...]", help="vanilla, prompted, mixture_of_experts, modular; all of them if not given."
        ),
    ] = None,
    pool: PoolOption = None,
    program: ProgramOption = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE|ID", help="The records; the sample that comes along if not given.")
    ] = None,
    split: Annotated[SplitName, typer.Option(help="Which part of the records, parted by situation.")] = SplitName.TEST,
    limit: Annotated[int | None, typer.Option(min=1, help="So many records of each task only, drawn from all.")] = None,
    seed: SeedOption = None,
    on_failure: OnFailureOption = None,
    at_least: AtLeastOption = None,
    measure: MeasureOption = None,
    synthesis: SynthesisOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Rows under way at the same time; 32 if not given; a server may bear fewer."),
    ] = None,
    max_failed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows that may fail before this command does.")
    ] = 0.05,
    against: Annotated[
        str | None,
        typer.Option(metavar="METHOD", help="The method that all others are compared with; prompted if not given."),
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What scores value coverage: embedding, nli or judge, and after a colon the model, of a judge as for "
            "--judge. Embedding if not given.",
        ),
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(
            metavar="LM|FILE",
            help="The LM that judges for overton-judge: its id, a pool file whose base it is (with its address and "
            f"key), or '{BASE}' for the base LLM.",
        ),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Gets the records with their answers, a file per method.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Gets reports: one page of HTML, Markdown, JSON and plots.")
    ] = None,
    track: Annotated[
        bool, typer.Option("--track", help="Keep figures, data, reports and plots as a run in MLflow.")
    ] = False,
    traces: Annotated[
        float,
        typer.Option(metavar="SHARE", min=0, max=1, help="Share of the rows whose LM calls are kept with that run."),
    ] = 0.0,
) -> None:
    """Evaluate methods on tasks; the same command goes on with an evaluation that was interrupted."""
    with session() as terminal:
        from ..optimizers.evaluation import METHODS, REFERENCE, WORKERS

        with checking():
            built = opened(pool, seed)
            names = names_in(method or METHODS)
            methods = ChosenMethods(names, program, Changes(on_failure, at_least, measure, synthesis), seed)
            plans = make_plans(names_in(task), built, methods, ChosenRecords(data, split, limit))
            _check_against(against, plans)
            for folder in filter(None, (export, report)):
                folder.mkdir(parents=True, exist_ok=True)  # or a wrong one would be found out after all LMs were asked
            if traces and not track:
                raise ValueError("--traces keeps traces with a run in MLflow; it needs --track")
            judged, scored = make_judge(judge, built.base), make_scorer(scorer, built.base)
        reference = against or REFERENCE
        job = _Job(plans, output, workers or WORKERS, scored, judged, reference, seed or 0, traces)
        found = _evaluated(terminal, job, _Kept(export, report, track))
        if found.share_failed > max_failed:
            raise typer.Exit(FAILED)


@dataclass(frozen=True)
class _Kept:
    """What is kept of an evaluation beside its folder, and where."""

    answers: Path | None
    report: Path | None
    track: bool

    def check(self, job: _Job) -> None:
        """Find out that reports cannot be made before all LMs are asked."""
        from ..optimizers.evaluation import check_scorer

        if (self.report or self.track) and any(plan.records.task.mode == "overton" for plan in job.plans):
            check_scorer(job.scorer)

    def keep(self, found: Evaluation, job: _Job, tracked: TrackedRun | None) -> list[str]:
        """Write answers and reports, log all of it to the run, and say where."""
        from ..optimizers.evaluation import export

        said = []
        if self.answers is not None:
            export(found, job.plans, self.answers)
        if self.report is not None:
            self._report(found, job, self.report)
            said.append(f"The report: {self.report / 'report.html'}")
        if tracked is not None:
            self._log(found, job, tracked)
            from ..optimizers.tracking import shown_store

            said.append(f"The run: {tracked.run_id} in {shown_store()}")
        return said

    def _report(self, found: Evaluation, job: _Job, folder: Path) -> None:
        from ..optimizers.evaluation import keeping_scores
        from ..optimizers.evaluation.report_files import write_reports

        with keeping_scores(job.output, job.scorer, job.workers) as scorer:
            write_reports(found, job.plans, folder, scorer)

    def _log(self, found: Evaluation, job: _Job, tracked: TrackedRun) -> None:
        from ..optimizers.evaluation import RESULT
        from ..optimizers.evaluation.report_tracking import log_evaluation

        with TemporaryDirectory(prefix="modplural-report-") as made:
            folder = self.report or Path(made)
            if self.report is None:
                self._report(found, job, folder)
            log_evaluation(found, folder, run=tracked)
        tracked.log_file(job.output / RESULT)


def show_evaluation(terminal: Terminal, found: Evaluation, folder: Path) -> None:
    """Print the tables of an evaluation."""
    from rich.text import Text

    from ..optimizers.evaluation import RESULT, report_tables
    from . import show

    tables = [
        *report_tables.figure_tables(found),
        report_tables.comparison_table(found),
        report_tables.token_table(found),
        report_tables.failure_table(found),
    ]
    for table in filter(None, tables):
        terminal.out.print(Text(f"{table.title}", style="bold"), show.listing(table.columns, table.rows), "", sep="\n")
    terminal.out.print(f"All figures and rows: {folder / RESULT}", markup=False, soft_wrap=True)


def _evaluated(terminal: Terminal, job: _Job, kept: _Kept) -> Evaluation:
    from ..optimizers import RunUsageError

    try:
        kept.check(job)
        with _run(job) if kept.track else nullcontext() as tracked:
            found = job.run(terminal, tracked)
            said = kept.keep(found, job, tracked)  # before anything is shown, which a closed pipe would end
            show_evaluation(terminal, found, job.output)
            for line in said:
                terminal.out.print(line, markup=False, soft_wrap=True)
            return found
    except KeyboardInterrupt:
        leave(f"Interrupted. What is answered is in {job.output}; the same command goes on.", INTERRUPTED)
    except (RunUsageError, FileExistsError, NotADirectoryError, PermissionError) as error:
        raise WrongUsageError(described(error)) from error


@contextmanager
def _run(job: _Job) -> Iterator[TrackedRun]:
    from ..optimizers.evaluation.report_tracking import evaluation_run

    with quiet_mlflow(), evaluation_run([plan.task for plan in job.plans], job.output) as run:
        yield run


def _check_against(against: str | None, plans: Sequence[Plan]) -> None:
    for plan in plans:
        if against is not None and against not in plan.programs:
            raise ValueError(f"--against is {against!r}; it is one of the methods, {', '.join(plan.programs)}")
