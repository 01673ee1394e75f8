"""Adds an entry to a list in YAML text, or takes one out, and leaves every other character as it is.

A round trip through a YAML library keeps most comments and loses line breaks, and a comment above one entry belongs to
the entry before it there. So the text is cut where the parser's marks say. This file knows YAML; it must not know what
the entries mean.
"""

import re
from collections.abc import Mapping
from typing import Any

import yaml

from .yaml_brackets import add_in_brackets, remove_in_brackets
from .yaml_lines import YamlError, line_start, read_yaml

_NARROWEST = 80


def add_entry(text: str, key: str, entry: Mapping[str, Any]) -> str:
    """Add an entry at the end of a list, written as its last entry is.

    Args:
        text: A YAML document, a mapping whose `key` is a list with at least one entry.
        key: The list.
        entry: Plain values.

    Raises:
        YamlError: The text is not YAML, or has no such list, or one that cannot be parted at its lines.
    """
    listed = _list(text, key)
    last = listed.value[-1]
    newline = "\r\n" if "\r\n" in text else "\n"
    if listed.flow_style:
        return add_in_brackets(text, last, _flow(entry), newline)
    start, end = _lines_of(text, last)
    indent = re.match(r"[^-]*", text[start:end]).group()  # type: ignore[union-attr]
    width = max(_NARROWEST, *map(len, text.splitlines())) - len(indent)
    written = f"- {_flow(entry)}\n" if last.flow_style else _dump([dict(entry)], width=width)
    lines = "".join(f"{indent}{line}" if line.strip() else line for line in written.splitlines(keepends=True))
    whole = lines if text[:end].endswith("\n") else f"\n{lines}".removesuffix("\n")
    return text[:end] + whole.replace("\n", newline) + text[end:]


def remove_entry(text: str, key: str, index: int) -> str:
    """Take an entry out of a list, with the comments inside it; those above it stay.

    Raises:
        YamlError: As for `add_entry`.
    """
    listed = _list(text, key)
    if listed.flow_style:
        return remove_in_brackets(text, listed.value, index)
    start, end = _block_part(text, listed.value[index])
    return text[:start] + text[end:]


def _list(text: str, key: str) -> yaml.SequenceNode:
    root = read_yaml(text).root
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    listed = next((value for name, value in pairs if name.value == key), None)
    if not isinstance(listed, yaml.SequenceNode) or not listed.value:
        raise YamlError(f"{key} is no list with entries")
    return listed


def _block_part(text: str, entry: yaml.Node) -> tuple[int, int]:
    start, end = _lines_of(text, entry)
    before, after = text[:start], text[end:]
    if not text[:end].endswith("\n"):  # so that a file without a last line break stays one
        return len(before.removesuffix("\n").removesuffix("\r")), end
    if (blank := re.match(r"[^\S\n]*\n", after)) and re.search(r"\n[^\S\n]*\n\Z", before):
        end += blank.end()  # of two blank lines that meet, one is enough
    return start, end


def _lines_of(text: str, entry: yaml.Node) -> tuple[int, int]:
    """Where the lines of a block entry begin, at the one with its dash, and end.

    Comments behind it are in it as far as they are indented deeper than its dash, like its fields: one that stands
    in for a field is such.
    """
    start = line_start(text, entry.start_mark.index)
    while not text[start:].lstrip(" ").startswith("-"):
        if start == 0:
            raise YamlError("an entry of a list has no dash", entry.start_mark.line + 1)
        start = line_start(text, start - 1)
    end = _end(entry)
    if end == 0 or text[end - 1] != "\n":
        end = text.find("\n", end) + 1 or len(text)
    deeper = text.index("-", start) - start + 1
    comment = re.compile(rf"(?:[^\S\n]*\n)*[ ]{{{deeper},}}#.*(?:\n|\Z)")
    while found := comment.match(text, end):
        end = found.end()
    return start, end


def _end(node: yaml.Node) -> int:
    """The end of what is written; a block's own mark is further on, after the comments that follow it."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def _flow(entry: Mapping[str, Any]) -> str:
    return _dump(dict(entry), flow=True).strip()


def _dump(value: object, *, flow: bool = False, width: float = float("inf")) -> str:
    dumped: str = yaml.safe_dump(value, default_flow_style=flow, sort_keys=False, allow_unicode=True, width=width)
    return dumped
