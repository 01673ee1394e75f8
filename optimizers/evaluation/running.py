"""Doing the jobs of an evaluation: many at a time, each result on disk before it counts as done.

Jobs run in threads. An engine in this process gathers what they ask into batches, whatever method or task it is for,
and a server sees as many requests. This file knows jobs and their results; it must not know figures.
"""

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import AbstractContextManager, nullcontext
from contextvars import copy_context
from typing import NamedTuple

from ...programs.memory import remembering
from ..answering import answer_record, failure_reason
from ..journal import RunError
from .answers import as_json
from .messages import StoredMessages
from .store import Result, Store
from .usage import Spent, counting, spent, usage_of
from .work import Job, Place

HOPELESS = 10
"""An evaluation stops when so many rows failed and none was answered: then it is not the rows."""


class Progress(NamedTuple):
    """How far one task is, over all its methods.

    Attributes:
        task: The task's name.
        done: Rows finished, those that failed among them.
        total: All rows.
        failed: Rows that failed.
        spent: What LMs were asked for everything in the folder so far, whatever task it was for.
    """

    task: str
    done: int
    total: int
    failed: int
    spent: Spent = Spent()


Watch = Callable[[Job], AbstractContextManager[None]]
"""Sees a job being done, within the block that it gives."""


def run_jobs(
    jobs: Mapping[Place, Job],
    store: Store,
    workers: int,
    on_progress: Callable[[Progress], None],
    watch: Watch | None = None,
) -> dict[Place, Result]:
    """Do what is not done yet.

    Args:
        jobs: In the order in which they are begun.
        store: Has what earlier runs did, and gets what this one does.
        workers: Jobs under way at the same time.
        on_progress: Called for every task at the start and after each of its rows, in the calling thread.
        watch: Sees every job that is done now, in its own thread.

    Returns:
        The result of every job; those that failed earlier have been tried once more.

    Raises:
        RunError: All of the first rows failed.
    """
    kept = {key: result for key, result in store.results(job.key for job in jobs.values()).items() if not result.error}
    places: dict[str, list[Place]] = defaultdict(list)
    for place, job in jobs.items():
        places[job.key].append(place)
    tally = _Tally(places, kept, on_progress, store)
    pending = {job.key: job for job in jobs.values() if job.key not in kept}
    found = {**kept, **_run(pending, store, workers, tally, watch or _unwatched)}
    return {place: found[job.key] for place, job in jobs.items()}


def _run(pending: Mapping[str, Job], store: Store, workers: int, tally: "_Tally", watch: Watch) -> dict[str, Result]:
    memory = StoredMessages(store)
    found: dict[str, Result] = {}
    pool = ThreadPoolExecutor(workers, thread_name_prefix="modplural-evaluate")
    try:
        futures: list[Future[Result]] = [
            pool.submit(copy_context().run, _finish, job, store, memory, watch) for job in pending.values()
        ]
        for future in as_completed(futures):
            result = future.result()
            found[result.key] = result
            tally.count(result)
    finally:
        # Jobs that wait are left for the next run; those under way still reach the file.
        pool.shutdown(cancel_futures=True)
    return found


def _finish(job: Job, store: Store, memory: StoredMessages, watch: Watch) -> Result:
    started = time.monotonic()
    prediction, error = None, None
    with counting() as tracker, remembering(memory):
        try:
            with watch(job):
                prediction = as_json(answer_record(job.program, job.record).prediction)
        except RunError:
            raise
        except Exception as failure:  # one row's failure is recorded, whatever it is
            error = failure_reason(job.program, failure)
    seconds = time.monotonic() - started
    result = Result(job.key, job.program_digest, job.record_digest, prediction, error, seconds, usage_of(tracker))
    store.keep(result)
    return result


class _Tally:
    """Counts finished rows by task, tells the listener, and gives up where it is not the rows that fail."""

    def __init__(
        self,
        places: Mapping[str, list[Place]],
        kept: Mapping[str, Result],
        on_progress: Callable[[Progress], None],
        store: Store,
    ) -> None:
        self._places = places
        self._on_progress = on_progress
        self._store = store
        self._failed, self._hopeful = 0, bool(kept)
        self._progress: dict[str, Progress] = {}
        for key, sharing in places.items():
            for place in sharing:
                before = self._progress.get(place.task, Progress(place.task, 0, 0, 0))
                done = before.done + (key in kept)
                self._progress[place.task] = before._replace(done=done, total=before.total + 1)
        for progress in self._progress.values():
            self._tell(progress)

    def count(self, result: Result) -> None:
        for place in self._places[result.key]:
            before = self._progress[place.task]
            failed = before.failed + (result.error is not None)
            self._progress[place.task] = before._replace(done=before.done + 1, failed=failed)
            self._tell(self._progress[place.task])
        self._failed += result.error is not None
        self._hopeful = self._hopeful or result.error is None
        if self._failed >= HOPELESS and not self._hopeful:
            raise RunError(f"all of the first {HOPELESS} rows failed, the last with: {result.error}")

    def _tell(self, progress: Progress) -> None:
        self._on_progress(progress._replace(spent=spent(self._store.usage())))


def _unwatched(job: Job) -> AbstractContextManager[None]:
    return nullcontext()
