"""The wheel holds the whole package and works where no repository is in sight."""

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {
    "modplural": "modplural",
    **{name: f"modplural/{name}" for name in ("programs", "signatures", "optimizers", "data")},
}
"""Where each folder of the repository lies in the wheel."""

PART_OF = {"pydantic_core": "pydantic"}
"""Distributions that another one pins exactly and documents as its own."""

USED = ("compile", "evaluate", "tracking", "train")
"""Extras whose packages the code imports, where they are installed."""

SHIPPED = {".py", ".jinja", ".json", ".jsonl", ".md", ".safetensors", ".yaml", ".typed"}


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy, so that nothing left over from an earlier build gets in."""
    source, built = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in FOLDERS:
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", built, source)
    return next(built.glob("*.whl"))


@pytest.fixture(scope="session")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that holds the installed wheel and nothing else."""
    target = tmp_path_factory.mktemp("installed")
    pip("install", "--no-deps", "--target", target, wheel)
    return target


def pip(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments], check=True)


def test_the_wheel_holds_every_module_and_data_file(wheel: Path) -> None:
    expected = {
        f"{place}/{path.relative_to(ROOT / folder).as_posix()}"
        for folder, place in FOLDERS.items()
        for path in (ROOT / folder).rglob("*")
        if path.suffix in SHIPPED
    }
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert names == expected


def test_it_works_from_a_folder_with_packages_of_the_same_names(installed: Path, tmp_path: Path) -> None:
    for name in ("data", "programs", "signatures", "optimizers"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "__init__.py").write_text("raise ImportError('the package of the folder was imported')\n")
    script = (
        "import sys, modplural.programs.engines, modplural.signatures, modplural.optimizers, modplural.data\n"
        "assert modplural.load_pool('default').communities\n"
        "print(*(m.__file__ for name, m in sys.modules.items() if name.split('.')[0] == 'modplural'), sep='\\n')\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(installed)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    origins = [Path(line) for line in result.stdout.splitlines()]
    assert len(origins) >= 6
    assert all(origin.is_relative_to(installed) for origin in origins)


def test_everything_imported_is_declared() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(one for name in USED for one in extras[name])]
    declared = {normalized(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in requirements}
    providers = packages_distributions()
    for path in (path for folder in FOLDERS for path in (ROOT / folder).rglob("*.py")):
        for name in imported_roots(path) - sys.stdlib_module_names:
            names = {normalized(PART_OF.get(provider, provider)) for provider in providers.get(name, [name])}
            assert names & declared, f"{path.relative_to(ROOT)} imports {name}, which pyproject.toml does not declare"


def imported_roots(path: Path) -> set[str]:
    """The top-level names that a file imports absolutely."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [node.module or "" for node in nodes if isinstance(node, ast.ImportFrom) and not node.level]
    return {name.partition(".")[0] for name in names}


def normalized(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()
