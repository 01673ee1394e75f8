"""Reads YAML into plain values, strictly, and remembers in which line each of them is written.

This file knows YAML. It must not know what the values mean.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from yaml.constructor import BaseConstructor, ConstructorError

_TYPES = ("map", "seq", "str", "int", "float", "bool", "null")
_SHOWN = 60


class YamlError(ValueError):
    """The text is not YAML, or uses a part of YAML that is not read here.

    Attributes:
        line: Where, counted from 1; None where the text as a whole is at fault.
    """

    def __init__(self, problem: str, line: int | None = None) -> None:
        super().__init__(problem)
        self.line = line


@dataclass(frozen=True)
class YamlDocument:
    """A document's value (None where it is empty), and the nodes that it was built from."""

    value: Any
    root: yaml.Node | None

    def line(self, location: Sequence[int | str]) -> int:
        """The line, counted from 1, of the field that a path of keys and indices leads to.

        Where a part of the path is missing, it is the line of the last part that is there.
        """
        node, line = self.root, self.root.start_mark.line if self.root else 0
        for part in location:
            found = _entry(node, part)
            if found is None:
                break
            line, node = found[0].start_mark.line, found[1]
        return line + 1


def read_yaml(text: str) -> YamlDocument:
    """Read one document of mappings, lists and plain values.

    Raises:
        YamlError: It is not YAML, has several documents, gives a key twice, or uses merge keys or tags of its own.
    """
    try:
        loader = _Loader(text)
        root = loader.get_single_node()
        return YamlDocument(None if root is None else loader.construct_document(root), root)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(part for part in (error.context, error.problem) if part)
        raise YamlError(problem, mark.line + 1 if mark else None) from error
    except yaml.YAMLError as error:
        raise YamlError(str(error)) from error
    except RecursionError as error:
        raise YamlError("the values are nested too deeply") from error


def line_start(text: str, index: int) -> int:
    """Where the line of a character begins."""
    return text.rfind("\n", 0, index) + 1


def _entry(node: yaml.Node | None, part: int | str) -> tuple[yaml.Node, yaml.Node] | None:
    """What marks an entry of a mapping or list, and its value."""
    if isinstance(node, yaml.MappingNode):
        return next(((key, value) for key, value in node.value if key.value == part), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(part, int) and part < len(node.value):
        return node.value[part], node.value[part]
    return None


class _Loader(yaml.SafeLoader):
    """Builds plain values only, and refuses a key given twice, the first of which YAML would drop silently."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Build a mapping, without the expansion of merge keys, which then fail as an unknown type."""
        seen: dict[str, int] = {}
        for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    problem = f"{key.value!r} is given twice, first in line {seen[key.value]}; keep one of them"
                    raise ConstructorError(None, None, problem, key.start_mark)
                seen[key.value] = key.start_mark.line + 1
        return BaseConstructor.construct_mapping(self, node, deep)

    def construct_object(self, node: Any, deep: bool = False) -> Any:
        """Build a value; a text that contradicts its own type (`!!int x`) fails with its line."""
        try:
            return super().construct_object(node, deep)
        except (ValueError, LookupError) as error:
            problem = f"{str(node.value)[:_SHOWN]!r} is no value of the type {node.tag}"
            raise ConstructorError(None, None, problem, node.start_mark) from error


_Loader.yaml_constructors = {
    tag: construct
    for tag, construct in yaml.SafeLoader.yaml_constructors.items()
    if tag is None or tag.removeprefix("tag:yaml.org,2002:") in _TYPES
}
