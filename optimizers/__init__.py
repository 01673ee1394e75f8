"""Running programs over tasks: benchmark files, resumable."""

from .journal import RunError
from .run import FailedRecord, Progress, RunReport, journal_path, run_file

__all__ = ["FailedRecord", "Progress", "RunError", "RunReport", "journal_path", "run_file"]
