"""The commands put together, and the process that they run in."""

import os
import sys
from functools import partial
from importlib import metadata
from io import TextIOWrapper
from typing import Annotated

import typer

from .ask import ask
from .communities import communities
from .compile import compile_program
from .demo import demo
from .evaluate import evaluate
from .openmp import set_waiting
from .run import run
from .score import score
from .serve import serve
from .session import deliver
from .tasks import tasks
from .ui import ui
from .versions import versions

app = typer.Typer(
    name="modplural",
    epilog=(
        "Exit codes: 0 done, 1 something failed, 2 wrong usage or settings, 130 interrupted. "
        "MODPLURAL_DEBUG=1 shows where an error came from, MODPLURAL_CACHE names another folder for the embedded LM."
    ),
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
_DECISIVE = ("dspy", "torch", "transformers")
"""Packages whose versions decide what an LM is sent and what it answers."""


def show_versions(wanted: bool) -> None:
    """Print the version of this package and of those below it, from their metadata, and end."""
    if wanted:
        below = ", ".join(f"{name} {_version(name)}" for name in _DECISIVE)
        typer.echo(f"modplural {_version('modplural')} ({below})")
        raise typer.Exit


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


@app.callback()
def begin(
    versions: Annotated[
        bool, typer.Option("--version", callback=show_versions, is_eager=True, help="Show versions and exit.")
    ] = False,
) -> None:
    """Ask a base LLM together with a pool of community LMs: Modular Pluralism."""


app.command()(ask)
app.command()(run)
app.command()(evaluate)
app.command()(score)
app.command("compile")(compile_program)
app.add_typer(communities, name="communities")
app.add_typer(versions, name="versions")
app.command()(serve)
app.command()(ui)
app.command()(tasks)
app.command()(demo)


def main() -> None:
    """Run the command line; the entry point of `modplural`."""
    set_waiting(os.environ)
    # DSPy would look for model prices on the network.
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")
    # MLflow would report its use to its makers, and draw a bar for every few kilobytes.
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="replace")  # an LM may write what the terminal's encoding cannot show
    deliver(partial(app, prog_name="modplural"))
