"""Running a program over a file of benchmark records: resumable, concurrent, and written back in the field's format.

Every finished record goes to a journal beside the output before anything else happens to it, so that a run which was
interrupted in whatever way continues where it stopped. A record that cannot be read, or that the program fails on, is
reported by its index while the rest goes on; a cause that is not the records' stops the run. This file computes no
metric and shows nothing: `on_progress` is for those who do.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import dspy

from ..data import BadRecord, Record, RecordFile, Task, encode_rows, read_records, write_atomic
from .answering import answer_record, check_fit, failure_reason, record_digest, sole_writer
from .fingerprint import fingerprint
from .journal import Entry, Journal, RunError, RunUsageError

_HOPELESS = 10
"""A run stops when so many records failed and none was answered: then it is not the records."""


@dataclass(frozen=True)
class FailedRecord:
    """A record that the program failed on: its position in the file, its own id, and the error."""

    index: int
    id: int | str
    error: str


class Progress(NamedTuple):
    """How far a run is: readable records finished (`failed` among them), out of `total`."""

    done: int
    total: int
    failed: int


@dataclass(frozen=True)
class RunReport:
    """What became of a run.

    Attributes:
        output: The file that was written.
        task: The task that the records belong to.
        rows: Number of records in the output.
        answered: Records that the program answered this time.
        resumed: Records that an earlier run had answered.
        settled: Indices of records with one option only; they are filled without asking.
        bad: Records that could not be read.
        failed: Records that the program failed on; a further run tries them again.
        partial: By index, the communities that an answer had to do without, and why.
    """

    output: Path
    task: str
    rows: int
    answered: int
    resumed: int
    settled: tuple[int, ...]
    bad: tuple[BadRecord, ...]
    failed: tuple[FailedRecord, ...]
    partial: Mapping[int, Mapping[str, str]]

    @property
    def complete(self) -> bool:
        """Whether every row is filled."""
        return not self.bad and not self.failed


def journal_path(output_path: str | Path) -> Path:
    """Return where the journal of an output file is."""
    output = Path(output_path)
    return output.with_name(f"{output.name}.journal.jsonl")


def run_file(
    program: dspy.Module,
    records_path: str | Path,
    output_path: str | Path,
    *,
    task: str | Task | None = None,
    limit: int | None = None,
    workers: int = 8,
    on_progress: Callable[[Progress], None] | None = None,
) -> RunReport:
    """Run a program over a file of records and write the file back with the answers in it.

    Args:
        program: Called as `program(query=..., attribute=..., options=...)` with what a record has of these, from many
            threads.
        records_path: The benchmark file.
        output_path: Gets the records with `output` or `pred_distribution` filled; the journal stands beside it. A run
            with the same arguments continues from that journal, also with another `limit`.
        task: A task of one's own, or a name in `modplural.data.TASKS`; where it is None, most of the records show it.
        limit: Run and write no more than so many records, from the first.
        workers: Records under way at the same time; an engine in this process batches them.
        on_progress: Called at the start and after each record, in the calling thread.

    Raises:
        RecordFileError: The file cannot be read as records of one task.
        RunUsageError: The output is a folder or the file of records, or the program does not answer this task.
        RunError: The output belongs to something else, another run is writing it, or every record fails. Whatever was
            answered is in the journal.
        ValueError: An unknown task, or a limit or number of workers less than 1.
    """
    if workers < 1:
        raise ValueError(f"workers is {workers}; it is a number of records under way, 1 or more")
    records = read_records(records_path, task, limit=limit)
    output = Path(output_path)
    _check_output(output, records.path)
    _check_fit(program, records)
    header = {"records": f"sha256 {records.digest}", "task": records.task.name, **fingerprint(program)}
    with sole_writer(output):
        if output.exists() and not journal_path(output).exists():
            raise RunError(f"{output} exists and no run wrote it. Choose another output, or move it away")
        with Journal.open(journal_path(output), header) as journal:
            if output.exists() and not journal.wrote(output.read_bytes()):
                raise RunError(f"{output} was changed after a run wrote it. Move it away, and this run writes it anew")
            return _run(program, records, output, journal, workers, on_progress or _ignore)


def _run(
    program: dspy.Module,
    records: RecordFile,
    output: Path,
    journal: Journal,
    workers: int,
    on_progress: Callable[[Progress], None],
) -> RunReport:
    settled = {index: answer for index, record in records.records.items() if (answer := record.settled()) is not None}
    kept = _answers(records, journal)
    pending = {index: record for index, record in records.records.items() if index not in kept.keys() | settled.keys()}
    tally = _Tally(len(records.records) - len(pending), len(records.records), on_progress, hopeful=bool(kept))
    _work_through(program, pending, journal, workers, tally)
    answers = _answers(records, journal)
    content = encode_rows(records.filled({**answers, **settled}))
    journal.announce_output(content)
    write_atomic(output, content)
    entries = [journal.entries[index] for index in records.records if index in journal.entries]
    return RunReport(
        output=output,
        task=records.task.name,
        rows=len(records.rows),
        answered=len(answers) - len(kept),
        resumed=len(kept),
        settled=tuple(settled),
        bad=records.bad,
        failed=tuple(FailedRecord(entry.index, entry.id, entry.error) for entry in entries if entry.error is not None),
        partial={entry.index: entry.failures for entry in entries if entry.failures},
    )


class _Tally:
    """Counts finished records, tells the listener, and gives up where it is not the records that fail."""

    def __init__(self, done: int, total: int, on_progress: Callable[[Progress], None], *, hopeful: bool) -> None:
        self._progress = Progress(done, total, failed=0)
        self._hopeful = hopeful
        self._on_progress = on_progress
        on_progress(self._progress)

    def count(self, entry: Entry) -> None:
        done, total, failed = self._progress
        self._progress = Progress(done + 1, total, failed + (entry.error is not None))
        self._hopeful = self._hopeful or entry.error is None
        self._on_progress(self._progress)
        if self._progress.failed >= _HOPELESS and not self._hopeful:
            raise RunError(f"all of the first {_HOPELESS} records failed; record {entry.index} with: {entry.error}")


def _work_through(
    program: dspy.Module, pending: Mapping[int, Record], journal: Journal, workers: int, tally: _Tally
) -> None:
    # DSPy's own parallel executor prints its progress and runs a slow item twice; what is wanted of it is the context.
    pool = ThreadPoolExecutor(workers, thread_name_prefix="modplural-run")
    try:
        futures = [
            pool.submit(copy_context().run, _finish, program, index, record, journal)
            for index, record in pending.items()
        ]
        for future in as_completed(futures):
            tally.count(future.result())
    finally:
        # Records that wait are left for the next run; those under way still reach the journal.
        pool.shutdown(cancel_futures=True)


def _finish(program: dspy.Module, index: int, record: Record, journal: Journal) -> Entry:
    digest = record_digest(record)
    try:
        prediction, answer = answer_record(program, record)
        failures = {str(name): str(why) for name, why in (prediction.get("failures") or {}).items()}
        entry = Entry(index, record.id, digest, answer=answer, failures=failures)
    except RunError:
        raise
    except Exception as error:  # one record's failure is recorded, whatever it is
        entry = Entry(index, record.id, digest, error=failure_reason(program, error))
    journal.append(entry)
    return entry


def _answers(records: RecordFile, journal: Journal) -> dict[int, Any]:
    return {
        index: entry.answer
        for index, record in records.records.items()
        if (entry := journal.entries.get(index)) and entry.error is None and entry.digest == record_digest(record)
    }


def _ignore(progress: Progress) -> None:
    """Listen to nothing."""


def _check_output(output: Path, records: Path) -> None:
    if output.exists() and output.samefile(records):
        raise RunUsageError(
            f"the output {output} is the file of records, which is never written. Choose another output"
        )
    if output.is_dir():
        raise RunUsageError(f"the output {output} is a folder. Name a file")
    output.parent.mkdir(parents=True, exist_ok=True)


def _check_fit(program: dspy.Module, records: RecordFile) -> None:
    """Refuse before anybody is asked what would fail on every record."""
    record = next(iter(records.records.values()), None)
    if record is None:
        return
    try:
        check_fit(program, record)
    except ValueError as error:
        raise RunUsageError(f"{records.path} holds records of {records.task.name}, and {error}") from error
