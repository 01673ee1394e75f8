"""Evaluating methods on the six tasks: every result kept as it comes, scored, and compared on the same records."""

from .evaluate import RESULT, STORE, WORKERS, evaluate
from .exporting import export
from .methods import METHODS, MODULAR, REFERENCE, make_methods
from .result import EvaluatedRow, EvaluatedTask, Evaluation, MethodFigures, PairedComparison
from .running import Progress
from .work import Plan, first_records

__all__ = [
    "METHODS",
    "MODULAR",
    "REFERENCE",
    "RESULT",
    "STORE",
    "WORKERS",
    "EvaluatedRow",
    "EvaluatedTask",
    "Evaluation",
    "MethodFigures",
    "PairedComparison",
    "Plan",
    "Progress",
    "evaluate",
    "export",
    "first_records",
    "make_methods",
]
