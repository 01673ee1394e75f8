"""Datasets: benchmark records to `dspy.Example`s and back, and sample records of our own."""

from .records import BadRecord, Record, RecordFileError, encode_rows, write_atomic
from .samples import SAMPLES, sample
from .sources import SourceError, load_task
from .splits import Shares, Split, Splits, split_records
from .tasks import TASKS, RecordFile, Task, find_task, read_records

__all__ = [
    "SAMPLES",
    "TASKS",
    "BadRecord",
    "Record",
    "RecordFile",
    "RecordFileError",
    "Shares",
    "SourceError",
    "Split",
    "Splits",
    "Task",
    "encode_rows",
    "find_task",
    "load_task",
    "read_records",
    "sample",
    "split_records",
    "write_atomic",
]
