"""Where sentences end, told by punctuation: for texts of LMs, in most scripts, without a model of any language.

This file knows text; it must not know what it is for.
"""

import re

_SHORTEST = 20
"""Characters below which a sentence says nothing: "Sure!", "Dr."."""

_CLOSERS = "[\"'\u201d\u2019\u00bb)\u300d\u300f\uff09]*"
_MARK = "[.!?\u2026\u061f\u06d4\u0964]"
_WIDE_MARK = "[\u3002\uff01\uff1f]"
"""No space follows these."""

_ENDED = re.compile(rf"(?:{_MARK}|{_WIDE_MARK}){_CLOSERS}$")
_END = re.compile(
    rf"""
    (?={_MARK}) (?<!{_MARK})
    (?<!\b[\dA-Z]) (?<!\b\d\d)                  # not after the number of a list, or an initial,
    (?<!\b(?:Dr|Mr|Ms|St|Jr|Sr|vs))              # or what is written short
    (?<!\b(?:Mrs|Rev|e\.g|i\.e)) (?<!\bProf)
    {_MARK}++ {_CLOSERS}+
    (?: $ | (?=\s+(?![a-z])) )                  # what goes on in a small letter is the same sentence
    | (?<!{_WIDE_MARK}) {_WIDE_MARK}++ {_CLOSERS}+
    """,
    re.VERBOSE,
)
"""A whole run of marks, never tried from its middle nor given back in parts: a reply may be one run of any length."""


def first_sentence(text: str) -> str:
    """The first sentence of a reply that was asked for one, on one line; all of it where no end is found."""
    line = " ".join(text.split())
    ends = (found.end() for found in _END.finditer(line) if found.end() > _SHORTEST)
    return line[: next(ends, len(line))]


def ended(text: str) -> str:
    """A text that ends as a sentence does, with a full stop where it has no mark."""
    return text if not text or _ENDED.search(text) else f"{text}."


def whole_sentences(line: str, longest: int) -> str:
    """As many whole sentences of one line as fit.

    A line that ends with a sentence and fits stays as it is, and so does one that fits and has no whole sentence; where
    one that does not fit has none, it is cut after a word, with an ellipsis.

    Args:
        line: A text without line breaks.
        longest: Most characters of what is returned; 20 or more.
    """
    if len(line) <= longest and _ENDED.search(line):
        return line
    seen = line[: longest + 2]  # no more, for a text may be of any length; an end is told by the two that follow it
    ends = [found.end() for found in _END.finditer(seen)]
    last = max((end for end in ends if _SHORTEST <= end <= longest), default=None)
    if last is not None:
        return line[:last]
    return line if len(line) <= longest else _cut(line[: longest - 1])


def _cut(beginning: str) -> str:
    """The beginning of a text without the word that it ends in, if it has others."""
    return f"{beginning.rpartition(' ')[0] or beginning}\u2026"
