"""Datasets: benchmark records to `dspy.Example`s and back, and sample records of our own."""

from .records import BadRecord, Record, RecordFileError, encode_rows, write_atomic
from .samples import SAMPLES, sample
from .tasks import TASKS, RecordFile, Task, find_task, read_records

__all__ = [
    "SAMPLES",
    "TASKS",
    "BadRecord",
    "Record",
    "RecordFile",
    "RecordFileError",
    "Task",
    "encode_rows",
    "find_task",
    "read_records",
    "sample",
    "write_atomic",
]
