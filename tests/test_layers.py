"""Imports run down the floors only, and inside the package they are relative."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

MAY_IMPORT = {
    "modplural": {"optimizers", "programs", "signatures", "data"},
    "optimizers": {"programs", "signatures", "data"},
    "programs": {"signatures", "data"},
    "signatures": set(),
    "data": set(),
}
"""The other folders that each folder may import from."""

FILES = [path.relative_to(ROOT) for folder in MAY_IMPORT for path in sorted((ROOT / folder).rglob("*.py"))]


def imports(source: str, module: str) -> Iterator[str]:
    """Yield the full dotted name of everything imported anywhere in a module, whose own name may end in `__init__`."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            package = module.split(".")[: -node.level] if node.level else []
            origin = [*package, *(node.module.split(".") if node.module else [])]
            yield from (".".join([*origin, alias.name]) for alias in node.names)


def floor(name: str) -> str | None:
    """The top-level folder that an import reaches; None where it leaves the package."""
    root, _, rest = name.partition(".")
    if root != "modplural":
        return None
    folder = rest.partition(".")[0]
    return folder if folder in MAY_IMPORT else "modplural"


def module_name(path: Path) -> str:
    """The dotted name under which a file of the repository is imported, `__init__` kept."""
    parts = path.with_suffix("").parts
    return ".".join(parts if parts[0] == "modplural" else ("modplural", *parts))


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_run_down(path: Path) -> None:
    folder = path.parts[0]
    reached = {name: floor(name) for name in imports((ROOT / path).read_text("utf-8"), module_name(path))}
    wrong = [name for name, target in reached.items() if target not in {None, folder, *MAY_IMPORT[folder]}]
    assert not wrong, (
        f"{path} imports {wrong}; {folder}/ may import from {sorted(MAY_IMPORT[folder]) or 'no other folder'}"
    )


@pytest.mark.parametrize("path", FILES, ids=str)
def test_imports_within_the_package_are_relative(path: Path) -> None:
    tree = ast.parse((ROOT / path).read_text("utf-8"))
    absolute = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and not node.level]
    absolute += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    assert not [name for name in absolute if floor(name)]


@pytest.mark.parametrize("path", [path for path in FILES if path.parts[0] == "signatures"], ids=str)
def test_signatures_import_dspy_and_the_standard_library_only(path: Path) -> None:
    names = set(imports((ROOT / path).read_text("utf-8"), module_name(path)))
    roots = {name.partition(".")[0] for name in names} - {"modplural", "dspy"}
    assert roots <= sys.stdlib_module_names


@pytest.mark.parametrize(
    ("statement", "reached"),
    [
        ("from ..optimizers.run import run", "optimizers"),
        ("from .. import optimizers", "optimizers"),
        ("from .pool import Pool", "programs"),
        ("import modplural.data.records", "data"),
        ("def late():\n    from ..poolfile import load_pool", "modplural"),
        ("import dspy", None),
    ],
)
def test_every_form_of_import_is_seen(statement: str, reached: str | None) -> None:
    assert [floor(name) for name in imports(statement, "modplural.programs.overton")] == [reached]
