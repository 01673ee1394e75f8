"""Traces of a share of an evaluation's rows, linked to the run in MLflow that the evaluation is tracked as.

Which rows are traced depends on their records and a seed, so that all methods are traced on the same ones. This file
knows jobs; what a trace holds is known to `traces`.
"""

import threading
from contextlib import AbstractContextManager

import dspy

from ..traces import RowTraces
from ..tracking import TrackedRun
from .work import Job


class JobTraces:
    """Traces jobs, of whatever program. Rows that were answered before are not asked again and have no trace."""

    def __init__(self, run: TrackedRun, share: float, seed: int = 0) -> None:
        """Trace for a run.

        Args:
            run: What the traces are linked to.
            share: Of the rows, from 0 to 1.
            seed: Another one traces other rows.
        """
        self._run, self._share, self._seed = run, share, seed
        self._lock = threading.Lock()
        self._of: dict[int, tuple[dspy.Module, RowTraces]] = {}

    def row(self, job: Job) -> AbstractContextManager[None]:
        """Trace what is done in this block, if the job's row is chosen; a `Watch`."""
        return self._traces(job.program).row(job.record_digest)

    @staticmethod
    def flush() -> None:
        """Wait until everything is written."""
        RowTraces.flush()

    def _traces(self, program: dspy.Module) -> RowTraces:
        with self._lock:
            if id(program) not in self._of:
                self._of[id(program)] = program, RowTraces(self._run, program, self._share, self._seed)
            return self._of[id(program)][1]
