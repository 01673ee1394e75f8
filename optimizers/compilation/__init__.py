"""Compiling programs: strategies that search, and a test of what they found."""

from .bench import Bench
from .budget import EFFORTS, Budget
from .compilation_run import stop_run
from .compile import TRACED, compile
from .estimate import Estimate
from .hopeless import MetricFailedError, PromptLMFailedError
from .job import PROGRAM, REPORT, REPORT_TEXT, STATE, Compiled
from .report import Beside, CompileReport, PartReport
from .report_text import markdown
from .strategies import STRATEGIES, strategies_named
from .strategy import Strategy, Work
from .trials import Trial

__all__ = [
    "EFFORTS",
    "PROGRAM",
    "REPORT",
    "REPORT_TEXT",
    "STATE",
    "STRATEGIES",
    "TRACED",
    "Bench",
    "Beside",
    "Budget",
    "CompileReport",
    "Compiled",
    "Estimate",
    "MetricFailedError",
    "PartReport",
    "PromptLMFailedError",
    "Strategy",
    "Trial",
    "Work",
    "compile",
    "markdown",
    "stop_run",
    "strategies_named",
]
