"""Versions of compiled programs: registered in MLflow, compared, promoted, loaded and served."""

from .artifact import fetched, is_version
from .errors import PromotionError, VersionError
from .promotion import Promotion, promote, rollback
from .registry import Version, find, register, versions
from .scores import RowScore, Scores, read_scores

__all__ = [
    "Promotion",
    "PromotionError",
    "RowScore",
    "Scores",
    "Version",
    "VersionError",
    "fetched",
    "find",
    "is_version",
    "promote",
    "read_scores",
    "register",
    "rollback",
    "versions",
]
