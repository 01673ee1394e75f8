"""The command line as a whole: what is said without a command."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest
from typer.testing import CliRunner

from modplural.cli import app

LOADED = """
import sys
from typer.testing import CliRunner
from modplural.cli import app
CliRunner().invoke(app, ["--version"])
print(sorted({"dspy", "torch", "transformers"} & sys.modules.keys()))
"""


def test_versions_are_shown() -> None:
    result = CliRunner().invoke(app, ["--version"])
    below = ", ".join(f"{name} {version(name)}" for name in ("dspy", "torch", "transformers"))
    assert (result.exit_code, result.stdout) == (0, f"modplural {version('modplural')} ({below})\n")


def test_versions_are_read_and_nothing_is_imported_for_them() -> None:
    shown = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    assert shown.stdout == "[]\n"


def test_a_package_that_is_missing_is_named_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(package: str) -> str:
        raise PackageNotFoundError(package)

    monkeypatch.setattr("importlib.metadata.version", missing)
    assert "torch not installed" in CliRunner().invoke(app, ["--version"]).stdout


def test_a_command_is_needed() -> None:
    result = CliRunner().invoke(app, [])
    assert result.exit_code == 2
    assert "communities" in result.output
