"""Evaluating methods on the six tasks: every result kept as it comes, scored, and compared on the same records."""

from .evaluate import RESULT, STORE, WORKERS, check_scorer, evaluate, keeping_scores
from .exporting import export
from .methods import METHODS, MODULAR, REFERENCE, make_methods
from .result import EvaluatedRow, EvaluatedTask, Evaluation, MethodFigures, PairedComparison
from .running import Progress, Watch
from .tracing import JobTraces
from .usage import Spent
from .work import Plan, drawn_records

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
    "JobTraces",
    "MethodFigures",
    "PairedComparison",
    "Plan",
    "Progress",
    "Spent",
    "Watch",
    "check_scorer",
    "drawn_records",
    "evaluate",
    "export",
    "keeping_scores",
    "make_methods",
]
