"""`modplural compile`: make a mode better at a task, with an estimate, progress, a report and a version of it."""

from __future__ import annotations

from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from .adjusting import Changes, adjust
from .compiled import register_compiled, show_report
from .evaluation_plans import make_judge, make_scorer
from .mlflow_log import quiet_mlflow
from .named_lms import BASE, named_lm
from .options import (
    DEFAULT_POOL,
    BaselineName,
    MeasureOption,
    ModeName,
    PoolOption,
    ProgramOption,
    SeedOption,
    SynthesisOption,
    make_program,
)
from .session import INTERRUPTED, Terminal, WrongUsageError, checking, described, interruptible, leave, session

if TYPE_CHECKING:
    import dspy

    from ..optimizers.compilation import Compiled, Estimate, Trial
    from ..optimizers.metrics import PairwiseJudge, Scorer
    from ..programs.program import Program


TRACED = 0.1
"""As `modplural.optimizers.compilation.TRACED`."""


class BudgetName(StrEnum):
    """How hard strategies search, as `modplural.optimizers.compilation.EFFORTS` names it."""

    LIGHT = "light"
    MEDIUM = "medium"
    HEAVY = "heavy"


class _Chosen(NamedTuple):
    """What the options say beside the program."""

    task: str
    strategy: str
    budget: str
    max_calls: int | None
    prompt_lm: dspy.LM | None
    data: str | None
    limit: int | None
    seed: int
    output: Path
    threads: int | None
    scorer: Scorer | None
    judge: PairwiseJudge | None
    baseline: Program | None
    unseen: str | None
    unseen_limit: int | None
    selection: str | None
    track: bool
    traces: float


def compile_program(
    mode: Annotated[ModeName, typer.Argument(metavar="MODE", help="overton, steerable or distributional.")],
    task: Annotated[str, typer.Option(metavar="NAME", help="The task; see 'modplural tasks'.")],
    strategy: Annotated[
        str,
        typer.Option(
            metavar="NAME[+NAME...]",
            help="synthesis, measurement, weights, instructions, bootstrap, mipro, gepa, copro, or several in a row.",
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="FOLDER", help="Gets program, report and trials.")] = Path("compiled"),
    budget: Annotated[BudgetName, typer.Option(help="How hard to search.")] = BudgetName.LIGHT,
    max_calls: Annotated[int | None, typer.Option(min=1, help="Stop searching in time for so many LM calls.")] = None,
    prompt_lm: Annotated[
        str | None,
        typer.Option(
            metavar="LM|FILE",
            help="A capable LM that writes instructions, for those that need one: its id, a pool file whose base it is "
            f"(with its address and key), or '{BASE}' for the base LLM.",
        ),
    ] = None,
    pool: PoolOption = None,
    program: ProgramOption = None,
    data: Annotated[
        str | None, typer.Option(metavar="FILE|ID", help="The records; the sample that comes along if not given.")
    ] = None,
    limit: Annotated[
        int | None, typer.Option(min=1, help="So many records of each part only, drawn by the seed.")
    ] = None,
    scorer: Annotated[
        str | None, typer.Option(metavar="NAME", help="What scores value coverage, as for 'modplural evaluate'.")
    ] = None,
    judge: Annotated[
        str | None,
        typer.Option(metavar="LM|FILE", help="The LM that judges for overton-judge, named as for --prompt-lm."),
    ] = None,
    against: Annotated[
        BaselineName | None,
        typer.Option(help="Whose responses overton-judge compares with; prompted if not given."),
    ] = None,
    unseen: Annotated[
        str | None,
        typer.Option(metavar="FILE|ID", help="Further records to score at the end, of situations not compiled on."),
    ] = None,
    unseen_limit: Annotated[int | None, typer.Option(min=1, help="So many of these only, drawn by the seed.")] = None,
    selection: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|ID", help="Of steerable: records of overton-vk that say which message is the one to select."
        ),
    ] = None,
    register: Annotated[
        str | None, typer.Option(metavar="NAME", help="Register what was compiled as the next version of that name.")
    ] = None,
    promote: Annotated[
        bool, typer.Option("--promote", help="Make it the champion, if it beats the present one on the test records.")
    ] = False,
    track: Annotated[bool, typer.Option(help="Whether it becomes a run in MLflow, where that is installed.")] = True,
    traces: Annotated[
        float, typer.Option(min=0, max=1, metavar="SHARE", help="Share of the rows scored at the end to trace there.")
    ] = TRACED,
    measure: MeasureOption = None,
    synthesis: SynthesisOption = None,
    workers: Annotated[int | None, typer.Option(min=1, help="Rows under way at the same time.")] = None,
    seed: SeedOption = None,
) -> None:
    """Make a mode better at a task; the same command goes on with a compilation that was stopped."""
    with session() as terminal, quiet_mlflow():
        with checking():
            student = _student(mode, program, pool, seed)
            adjust(student, Changes(measure=measure, synthesis=synthesis))
            _check_judged(task, judge, against)
            lm = None if prompt_lm is None else named_lm("--prompt-lm", prompt_lm, student.base)
            scored = None if scorer is None else make_scorer(scorer, student.base)
            judged = make_judge(judge, student.base)
            baseline = None if against is None else _baseline(against, student)
            tracked = _tracked(terminal, track, register, promote, mode)
        chosen = _Chosen(
            task,
            strategy,
            budget.value,
            max_calls,
            lm,
            data,
            limit,
            seed or 0,
            output,
            workers,
            scored,
            judged,
            baseline,
            unseen,
            unseen_limit,
            selection,
            tracked,
            traces,
        )
        compiled = _compiled(terminal, student, chosen)
        show_report(terminal, compiled.report, output)
        if register is not None:
            register_compiled(terminal, compiled.report, output, register, promote)


def _tracked(terminal: Terminal, track: bool, name: str | None, promote: bool, mode: ModeName) -> bool:
    """Whether there will be a run in MLflow, checked with what is to be registered before anything is spent."""
    if promote and name is None:
        raise ValueError("--promote makes a version the champion of its name; give the name with --register")
    if name is not None:
        from ..optimizers.versions import check_name

        check_name(name, mode.value)
        return True
    if track and find_spec("mlflow") is None:
        terminal.notes.print("Not tracked: MLflow is not installed (pip install 'modplural[tracking]').", markup=False)
        return False
    return track


def _compiled(terminal: Terminal, student: Program, chosen: _Chosen) -> Compiled:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from ..optimizers import RunUsageError
    from ..optimizers.compilation import STATE, compile, stop_run

    # A console of its own: while DSPy's optimizers run, what is printed to the process's streams is taken away.
    notes = Console(file=terminal.notes.file, width=terminal.notes.width, highlight=False)
    columns = (TextColumn("LM calls"), BarColumn(20), MofNCompleteColumn(), TimeElapsedColumn())
    progress = Progress(*columns, console=notes, disable=not terminal.notes.is_terminal)
    calls = progress.add_task("", total=None)

    def expect(found: Estimate) -> None:
        notes.print(f"Expected: {found}.", markup=False, soft_wrap=True)
        progress.update(calls, total=found.calls)

    def tell(trial: Trial) -> None:
        notes.print(
            f"{trial.stage}: {trial.score:.4f} over {trial.n} records, {trial.calls} calls: {trial.what}",
            markup=False,
            overflow="ellipsis",
            no_wrap=True,
        )

    try:
        with progress:
            return interruptible(
                lambda: compile(
                    student,
                    chosen.task,
                    strategy=chosen.strategy,
                    data=chosen.data,
                    budget=chosen.budget,
                    max_calls=chosen.max_calls,
                    prompt_lm=chosen.prompt_lm,
                    scorer=chosen.scorer,
                    judge=chosen.judge,
                    baseline=chosen.baseline,
                    limit=chosen.limit,
                    unseen=chosen.unseen,
                    unseen_limit=chosen.unseen_limit,
                    selection=chosen.selection,
                    track=chosen.track,
                    traces=chosen.traces,
                    seed=chosen.seed,
                    threads=chosen.threads,
                    output=chosen.output,
                    on_estimate=expect,
                    on_trial=tell,
                    on_call=lambda: progress.advance(calls),
                )
            )
    except KeyboardInterrupt:
        if chosen.track:
            stop_run(chosen.output / STATE)
        leave(f"Interrupted. What was tried is in {chosen.output}; the same command goes on.", INTERRUPTED)
    except (RunUsageError, ValueError, FileExistsError, NotADirectoryError, PermissionError) as error:
        raise WrongUsageError(described(error)) from error


def _student(mode: ModeName, saved: Path | None, pool: str | None, seed: int | None) -> Program:
    from ..programs.saving import PROGRAMS

    if saved is None:
        return make_program(mode, None, None, pool or DEFAULT_POOL, seed)
    student = make_program(None, None, saved, pool, seed)
    if not isinstance(student, PROGRAMS[mode.value]):
        raise ValueError(f"{saved} holds a {type(student).__name__}, which is not the mode {mode.value}")
    return student


def _check_judged(task: str, judge: str | None, against: str | None) -> None:
    """See that responses are judged where the task is to judge them, and nowhere else."""
    from ..optimizers.scoring import JUDGED

    if task == JUDGED and judge is None:
        raise ValueError(
            f"{JUDGED} compares responses with a baseline's, by an LM that judges; name the LM with --judge ('{BASE}'"
            " is the base LLM), and the baseline with --against where it is not prompted"
        )
    if task != JUDGED and (judge or against) is not None:
        raise ValueError(f"{task} compares no responses; leave out --judge and --against, which are for {JUDGED}")


def _baseline(name: BaselineName, student: Program) -> Program:
    """A baseline with the student's LMs."""
    from ..optimizers.evaluation import make_methods
    from ..programs.mode import Mode

    assert isinstance(student, Mode), "what is compiled here is a mode"
    return make_methods([name.value], "overton", student.base, student.pool)[name.value]
