"""Running programs over tasks: benchmark files, resumable."""

from .journal import RunError, RunUsageError
from .run import FailedRecord, Progress, RunReport, journal_path, run_file

__all__ = ["FailedRecord", "Progress", "RunError", "RunReport", "RunUsageError", "journal_path", "run_file"]
