"""Numbers and untrusted texts as reports write them.

This file must not know what is reported.
"""

import math
import re

from markupsafe import Markup

from ..metrics import Comparison, Figure
from .result import PairedComparison

_SPECIAL = re.compile(r"[\\`*_\[\]<>|~&$@#]|(?<=www)\.|:(?=//)")


def figure_text(figure: Figure) -> str:
    """Such as `0.512 [0.480, 0.544]`."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]" if figure.n else "no row"


def difference_text(comparison: Comparison) -> str:
    """Such as `+0.031 [-0.002, +0.064]`."""
    if not comparison.n:
        return "no row has both"
    return f"{comparison.difference:+.3f} [{comparison.low:+.3f}, {comparison.high:+.3f}]"


def number_text(value: float, digits: int = 3) -> str:
    """A number; nothing where there is none."""
    return "" if math.isnan(value) else f"{value:.{digits}f}"


def p_text(found: PairedComparison) -> str:
    """A corrected p-value; nothing where there is none, and no number where a few situations would feign one."""
    if math.isnan(found.corrected):
        return "too few" if found.comparison.n else ""
    return f"{found.corrected:.3f}" if found.corrected >= 0.001 else "< 0.001"


def markdown_text(value: object) -> Markup:
    """A text on one line in which nothing is read as Markdown, as HTML or as an address."""
    if isinstance(value, Markup):
        return value
    flat = " ".join("".join(char if _is_text(char) else " " for char in str(value)).split())
    return Markup(_SPECIAL.sub(lambda found: f"\\{found[0]}", flat))


def html_text(value: object) -> object:
    """A text without control characters, of which HTML allows none; its markup is escaped by the template."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    return "".join(char if _is_text(char) or char in "\n\t" else " " for char in value)


def _is_text(char: str) -> bool:
    """Whether a character may stand in a report; joiners do, of which words are made in some scripts, and emoji."""
    return char.isprintable() or char in "\u200c\u200d"
