"""Versions of compiled programs: registered in MLflow, compared, promoted, loaded and served."""

from .artifact import fetched, is_version
from .errors import PromotionError, VersionError
from .logged import log_program
from .promotion import Promotion, promote, rollback
from .reading import read_scores, report_scores
from .registry import Version, check_name, find, register, versions
from .scores import RowScore, Scores

__all__ = [
    "Promotion",
    "PromotionError",
    "RowScore",
    "Scores",
    "Version",
    "VersionError",
    "check_name",
    "fetched",
    "find",
    "is_version",
    "log_program",
    "promote",
    "read_scores",
    "register",
    "report_scores",
    "rollback",
    "versions",
]
