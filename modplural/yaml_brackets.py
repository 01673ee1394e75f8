"""Adds an entry to a YAML list in brackets, or takes one out, each with the comment that ends its line.

This file knows where entries begin and end, by the parser's marks; it must not know what they are.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

import yaml

from .yaml_lines import line_start

_TAIL = re.compile(r"(?P<comma>[^\S\r\n]*,)?(?P<comment>[^\S\r\n]*#[^\r\n]*)?[^\S\r\n]*(?P<line_end>\r?\n|\Z)?")
"""What may follow an entry in its line."""

_COMMA = re.compile(r"\s*,")


class Span(NamedTuple):
    """A part of a text, from its first character to the one behind its last."""

    start: int
    end: int


def add_in_brackets(text: str, last: yaml.Node, written: str, newline: str) -> str:
    """Add an entry behind the last one, and behind its comment: in a line of its own if the last one begins its line.

    Args:
        text: The whole document.
        last: The last entry.
        written: The new one, in one line.
        newline: The line break of the text.
    """
    start, end = _span(last)
    tail = _tail(text, end)
    line = text[line_start(text, start) : start]
    indent = line[: len(line) - len(line.lstrip())]
    alone = not line.strip()
    if tail["comment"]:
        comma, own = ("", ",") if tail["comma"] else (",", "")
        indent = indent if alone else f"{indent}  "
        return f"{text[:end]}{comma}{text[end : tail.end()]}{indent}{written}{own}{newline}{text[tail.end() :]}"
    separator = f",{newline}{indent}" if alone else ", "
    return text[:end] + separator + written + text[end:]


def remove_in_brackets(text: str, entries: list[yaml.Node], index: int) -> str:
    """Take an entry out, with its comma and the comment that ends its line."""
    for start, end in sorted(_parts(text, entries, index), reverse=True):
        text = text[:start] + text[end:]
    return text


def _parts(text: str, entries: list[yaml.Node], index: int) -> Iterator[Span]:
    """What has to go, in parts that do not overlap."""
    start, end = _span(entries[index])
    tail = _tail(text, end)
    line = line_start(text, start)
    before = _span(entries[index - 1]).end if index else start
    comma_before = _COMMA.match(text, before, start)
    is_last = index == len(entries) - 1 and not tail["comma"]
    if tail["line_end"] is not None and not text[line:start].strip():
        yield Span(line, tail.end())
    elif tail["comment"]:
        yield Span(len(text[:start].rstrip(" ")), tail.end("comment"))
    elif is_last and comma_before and not text[comma_before.end() : start].strip():
        yield Span(comma_before.end(), end)
    else:
        comma = re.compile(r"\s*,\s*").match(text, end)
        yield Span(start, comma.end() if comma else end)
    if is_last and comma_before:
        yield Span(*comma_before.span())


def _span(entry: yaml.Node) -> Span:
    return Span(entry.start_mark.index, entry.end_mark.index)


def _tail(text: str, end: int) -> re.Match[str]:
    found = _TAIL.match(text, end)
    assert found is not None  # all of it may be missing
    return found
