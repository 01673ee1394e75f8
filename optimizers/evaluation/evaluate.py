"""Evaluating methods on tasks: asked, scored and compared, in a folder that survives whatever happens.

`evaluation.sqlite` has every result as soon as it is there; a further evaluation in the same folder asks only for what
is missing or failed. `evaluation.json` is what was found. This file puts the parts together and shows nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import metadata
from pathlib import Path

from ...data import Split, write_atomic
from ..answering import check_fit, sole_writer
from ..fingerprint import fingerprint
from ..journal import RunUsageError
from ..metrics import TASK_METRICS, EmbeddingScorer, PairwiseJudge, Scorer
from .judging import KeptJudge
from .kept_scorer import kept_scorer
from .methods import REFERENCE
from .result import EvaluatedTask, Evaluation
from .running import Progress, Watch, run_jobs
from .scoring import COVERED, JUDGED, Measures, ScoredTask, corrected, score_task
from .store import Store
from .usage import cost, spent
from .work import Plan, jobs_of

STORE = "evaluation.sqlite"
RESULT = "evaluation.json"
WORKERS = 32
"""Rows under way at the same time: the fewest that kept the in-process engine as busy as all its requests at once."""

_PACKAGES = ("modplural", "dspy", "torch", "transformers", "peft")


def evaluate(
    plans: Sequence[Plan],
    folder: str | Path,
    *,
    workers: int = WORKERS,
    scorer: Scorer | None = None,
    judge: PairwiseJudge | None = None,
    reference: str = REFERENCE,
    seed: int = 0,
    on_progress: Callable[[Progress], None] | None = None,
    watch: Watch | None = None,
) -> Evaluation:
    """Evaluate programs on tasks, or go on with it.

    Args:
        plans: A task each, with its records and the programs that answer them.
        folder: Gets the results; made where it is missing. One folder may serve any number of evaluations, which share
            what they have in common.
        workers: Rows under way at the same time, of whatever task and method.
        scorer: Scores value coverage; sentence embeddings where it is None.
        judge: Compares responses with those of the reference, for `overton-judge`.
        reference: The method that all others are compared with.
        seed: Of the resamples of comparisons.
        on_progress: Called for each task at the start and after each row, in the calling thread.
        watch: Sees every row that is answered now, such as `JobTraces.row`.

    Raises:
        RunUsageError: A program does not answer its task, a task has no metric, `overton-judge` lacks a judge or the
            reference, or the model of the scorer cannot be found.
        RunError: Another evaluation is writing the folder, its file is something else, or every row fails. Whatever was
            answered is kept.
        MissingExtraError: The scorer needs what is not installed.
        ValueError: There are two plans for one task, or none at all, or the number of workers is less than 1.
    """
    _check(plans, workers, judge, reference)
    folder, listen = Path(folder), on_progress or _ignore
    scorer = scorer or EmbeddingScorer()
    if any(plan.task == COVERED for plan in plans):
        check_scorer(scorer)
    folder.mkdir(parents=True, exist_ok=True)
    with sole_writer(folder / STORE), Store(folder / STORE) as store:
        for plan in plans:
            for method, program in plan.programs.items():
                store.describe(plan.digests[method], fingerprint(program))
        results = run_jobs(jobs_of(plans), store, workers, listen, watch)
        kept_judge = None if judge is None else KeptJudge(judge, store)
        measures = Measures(kept_scorer(scorer, store, workers), kept_judge, reference, seed, workers)

        def tell(task: str, what: str, done: int, total: int) -> None:
            listen(Progress(f"{task} {what}", done, total, 0, spent(store.usage())))

        scored = [score_task(plan, results, measures, partial(tell, plan.task)) for plan in plans]
        found = _evaluation(scored, store, seed)
        write_atomic(folder / RESULT, found.encoded())
    return found


@contextmanager
def keeping_scores(folder: str | Path, scorer: Scorer, workers: int = WORKERS) -> Iterator[Scorer]:
    """The scorer of an evaluation that has ended, within the block: what it scores is kept, and never scored twice.

    Raises:
        RunError: Another evaluation is writing the folder.
    """
    file = Path(folder) / STORE
    with sole_writer(file), Store(file) as store:
        yield kept_scorer(scorer, store, workers)


def _evaluation(scored: Sequence[ScoredTask], store: Store, seed: int) -> Evaluation:
    figures = tuple(figures for task in scored for figures in task.figures)
    tokens = store.usage()  # not before there are figures, for which a judge may have been asked
    prices = {model: cost(model, asked) for model, asked in tokens.items()}
    versions = {name: metadata.version(name) for name in _PACKAGES}
    return Evaluation(
        tasks=tuple(map(_described, scored)),
        rows=tuple(row for task in scored for row in task.rows),
        figures=figures,
        comparisons=corrected([comparison for task in scored for comparison in task.comparisons()]),
        tokens=tokens,
        costs={model: price for model, price in prices.items() if price is not None},
        settings={"seed": seed, "versions": versions},
    )


def _described(task: ScoredTask) -> EvaluatedTask:
    records, metric = task.plan.records, task.metric
    figures = next(iter(task.figures), None)
    return EvaluatedTask(
        name=task.plan.task,
        data=str(records.path),
        split=records.name if isinstance(records, Split) else None,
        digest=records.digest,
        records=len(records.records),
        unreadable=len(records.bad),
        primary=metric.primary,
        higher_is_better=metric.higher_is_better,
        scorer=figures.figures[metric.primary].scorer if figures else None,
    )


def _check(plans: Sequence[Plan], workers: int, judge: PairwiseJudge | None, reference: str) -> None:
    if workers < 1:
        raise ValueError(f"workers is {workers}; it is a number of rows under way, 1 or more")
    tasks = [plan.task for plan in plans]
    if not tasks or len(set(tasks)) < len(tasks):
        raise ValueError(f"the tasks are {tasks}; give one plan for each, and at least one")
    for plan in plans:
        if plan.task not in TASK_METRICS:
            raise RunUsageError(f"there is no metric for {plan.task}; there is one for {', '.join(TASK_METRICS)}")
        if plan.task == JUDGED and (judge is None or reference not in plan.programs):
            raise RunUsageError(
                f"{JUDGED} compares responses with those of {reference!r}, by an LM that judges; it needs both"
            )
        for method in plan.programs:
            _check_method(plan, method)


def check_scorer(scorer: Scorer) -> None:
    """Score something, or it would be found out after all LMs were asked that it cannot.

    Raises:
        RunUsageError: The scorer's model is not here and cannot be fetched.
        MissingExtraError: The scorer needs what is not installed.
    """
    try:
        scorer.score(["It loads."], ["It loads."])
    except OSError as error:
        why = str(error).rstrip(".\n")
        raise RunUsageError(
            f"{scorer.name} cannot score: {why}. Name a model that is here or can be fetched"
        ) from error


def _check_method(plan: Plan, method: str) -> None:
    asked = (record for record in plan.records.records.values() if record.settled() is None)
    record = next(asked, None)
    if record is None:
        part = f" in its split {plan.records.name!r}" if isinstance(plan.records, Split) else ""
        raise RunUsageError(f"{plan.records.path} has no record of {plan.task}{part} that anybody could be asked about")
    try:
        check_fit(plan.programs[method], record)
    except ValueError as error:
        raise RunUsageError(f"{method} cannot answer {plan.task}: {error}") from error


def _ignore(progress: Progress) -> None:
    """Listen to nothing."""
