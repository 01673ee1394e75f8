"""`modplural evaluate`: methods beside one another on the six tasks, with progress, resumable."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .bars import TaskBars
from .options import DEFAULT_POOL, PoolOption, ProgramOption, SeedOption
from .session import FAILED, INTERRUPTED, Terminal, WrongUsageError, checking, described, interruptible, leave, session

if TYPE_CHECKING:
    import dspy

    from ..data import RecordFile
    from ..optimizers.evaluation import Evaluation, Plan
    from ..optimizers.metrics import EmbeddingScorer, PairwiseJudge
    from ..programs.building import BuiltPool
    from ..programs.program import Program

_logger = logging.getLogger(__name__)

BASE = "base"
"""What `--judge` calls the base LLM."""

PROGRAM = "program"
"""What a saved program is called among the methods."""


class SplitName(StrEnum):
    """The parts of a task's records, or all of them."""

    TRAIN = "train"
    DEV = "dev"
    TEST = "test"
    ALL = "all"


class Chosen(NamedTuple):
    """What the options say about the records of every task."""

    data: str | None
    split: SplitName
    limit: int | None


class _Measures(NamedTuple):
    """What `modplural.optimizers.evaluation.evaluate` scores and compares with."""

    scorer: EmbeddingScorer
    judge: PairwiseJudge | None
    seed: int


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
    limit: Annotated[int | None, typer.Option(min=1, help="The first so many records of each task only.")] = None,
    seed: SeedOption = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Rows under way at the same time; 32 if not given; a server may bear fewer."),
    ] = None,
    max_failed: Annotated[
        float, typer.Option(min=0, max=1, help="Share of the rows that may fail before this command does.")
    ] = 0.05,
    judge: Annotated[
        str | None,
        typer.Option(metavar="LM", help=f"The LM that judges for overton-judge; '{BASE}' is the base LLM."),
    ] = None,
    export: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Gets the records with their answers, a file per method.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Gets reports: one page of HTML, Markdown, JSON and plots.")
    ] = None,
) -> None:
    """Evaluate methods on tasks; the same command goes on with an evaluation that was interrupted."""
    with session() as terminal:
        from ..optimizers.evaluation import METHODS, WORKERS
        from ..optimizers.evaluation import export as write_answers
        from ..optimizers.evaluation.report_files import write_reports
        from ..optimizers.metrics import EmbeddingScorer

        with checking():
            built = _open(pool, seed)
            chosen = Chosen(data, split, limit)
            plans = _plans(_names(task), _names(method or METHODS), built, program, chosen, seed)
            pairwise = _judge(judge, built.base)
        measures = _Measures(EmbeddingScorer(), pairwise, seed or 0)
        found = _evaluate(terminal, plans, output, workers or WORKERS, measures)
        show_evaluation(terminal, found, output)
        if export is not None:
            write_answers(found, plans, export)
        if report is not None:
            page = next(path for path in write_reports(found, plans, report, measures.scorer) if path.suffix == ".html")
            terminal.out.print(f"The report: {page}", markup=False, soft_wrap=True)
        if found.share_failed > max_failed:
            raise typer.Exit(FAILED)


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


def _evaluate(terminal: Terminal, plans: Sequence[Plan], output: Path, workers: int, measures: _Measures) -> Evaluation:
    from ..optimizers import RunUsageError
    from ..optimizers.evaluation import evaluate as run

    bars = TaskBars(terminal)
    try:
        with bars:
            return interruptible(
                lambda: run(plans, output, workers=workers, on_progress=bars.show, **measures._asdict())
            )
    except KeyboardInterrupt:
        leave(f"Interrupted. What is answered is in {output}; the same command goes on.", INTERRUPTED)
    except (RunUsageError, FileExistsError, NotADirectoryError, PermissionError) as error:
        raise WrongUsageError(described(error)) from error


def _names(given: Sequence[str]) -> list[str]:
    """Names that are given one by one or with commas between, each once.

    Raises:
        ValueError: There is none.
    """
    found = list(dict.fromkeys(name.strip() for names in given for name in names.split(",") if name.strip()))
    if not found:
        raise ValueError(f"there is no name in {','.join(given)!r}")
    return found


def _open(pool: str | None, seed: int | None) -> BuiltPool:
    from ..poolfile import open_pool

    built = open_pool(pool or DEFAULT_POOL)
    if seed is not None:
        for lm in [built.base, *(community.lm for community in built.pool)]:
            lm.kwargs["seed"] = seed
    return built


def _plans(
    tasks: Sequence[str],
    methods: Sequence[str],
    built: BuiltPool,
    saved: Path | None,
    chosen: Chosen,
    seed: int | None,
) -> list[Plan]:
    from ..data import find_task
    from ..optimizers.evaluation import Plan, make_methods

    modes = {name: find_task(name).mode for name in tasks}  # all of them, before any records are read
    further = {} if saved is None else {PROGRAM: _load(saved, seed)}
    return [
        Plan(_records(name, chosen), {**make_methods(methods, mode, built.base, built.pool), **further})
        for name, mode in modes.items()
    ]


def _load(folder: Path, seed: int | None) -> Program:
    from .options import make_program

    return make_program(None, None, folder, None, seed)


def _records(task: str, chosen: Chosen) -> RecordFile:
    from ..data import load_task, split_records
    from ..optimizers.evaluation import first_records

    records = load_task(task, chosen.data)
    if records.bad:
        count, first = len(records.bad), records.bad[0]
        _logger.warning(
            "%s: %d unreadable and left out, such as record %d (%s)", records.path, count, first.index, first.reason
        )
    if chosen.split is not SplitName.ALL:
        records = getattr(split_records(records), chosen.split)
    return records if chosen.limit is None else first_records(records, chosen.limit)


def _judge(name: str | None, base: dspy.LM) -> PairwiseJudge | None:
    from ..optimizers.metrics import PairwiseJudge
    from ..programs.config import LMConfig
    from ..programs.lms import build_lm

    if name is None:
        return None
    return PairwiseJudge(base if name == BASE else build_lm(LMConfig(model=name)))
