"""`modplural versions`: compiled programs registered, listed, compared, promoted and rolled back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .mlflow_log import quiet_mlflow
from .session import Terminal, checking, session

if TYPE_CHECKING:
    from ..optimizers.versions import Promotion, Version
    from ..optimizers.versions.contents import Difference

versions = typer.Typer(
    help="Register saved programs in MLflow, compare them, and say which one apps load.", no_args_is_help=True
)

Reference = Annotated[str, typer.Argument(metavar="VERSION", help="Such as overton/3, or overton@champion.")]


@contextmanager
def registry_session() -> Iterator[Terminal]:
    """A command's session, without what MLflow says meanwhile."""
    with session() as terminal, quiet_mlflow():
        yield terminal


@versions.command()
def register(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="A saved program.")],
    name: Annotated[str, typer.Option("--name", help="What its versions are called together, such as overton.")],
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics",
            metavar="FILE",
            help="What it scored: the report.json of a compilation, the evaluation.json of an evaluation with"
            " --program, or JSON of your own.",
        ),
    ] = None,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="The one that counts, of an evaluation of several.")
    ] = None,
) -> None:
    """Register a saved program as the next version of its name."""
    with registry_session() as terminal:
        from ..optimizers.versions import read_scores
        from ..optimizers.versions import register as register_version

        with checking():
            made = register_version(folder, name, read_scores(metrics, folder, task) if metrics else None)
        said = f"Registered {made.uri}, which modplural.load takes."
        terminal.out.print(said, markup=False, soft_wrap=True)


@versions.command("list")
def list_versions(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="Only the versions of that name.")] = None,
) -> None:
    """List the versions, the newest of each name first."""
    with registry_session() as terminal:
        from ..optimizers.mlflow_store import shown_store
        from ..optimizers.versions import versions as find_versions
        from . import show

        with checking():
            found = find_versions(name)
        if not found:
            terminal.notes.print(f"There are no versions in {shown_store()} yet.", markup=False, soft_wrap=True)
            return
        columns = ["version", "program", "aliases", "scored", "n", "records", "registered"]
        terminal.out.print(show.listing(columns, map(_row, found)))


@versions.command("show")
def show_version(version: Reference) -> None:
    """Show what a version is, what it scored, and its prompts."""
    with registry_session() as terminal:
        from ..optimizers.versions import fetched, find
        from ..optimizers.versions.contents import read_contents
        from . import show

        with checking():
            found = find(version)
            with fetched(found.uri) as folder:
                contents = read_contents(folder)
        facts = {"address": found.uri, "aliases": ", ".join(found.aliases), "MLflow run": found.run_id}
        facts |= {"registered": f"{found.created:%Y-%m-%d %H:%M} UTC"} | _scored(found)
        for title, part in (("Version", facts), ("Settings", contents.settings), ("Prompts", contents.prompts)):
            terminal.out.print(f"\n[bold]{title}")
            terminal.out.print(show.listing(["", ""], ([name, text] for name, text in part.items() if text)))


@versions.command()
def diff(first: Reference, second: Reference) -> None:
    """Show side by side what differs between two versions: figures, settings, prompts."""
    with registry_session() as terminal:
        from ..optimizers.versions import fetched, find
        from ..optimizers.versions.contents import differences, read_contents

        with checking():
            pair = find(first), find(second)
            with fetched(pair[0].uri) as here, fetched(pair[1].uri) as there:
                one, other = read_contents(here), read_contents(there)
        titles = [f"{version.name}/{version.number}" for version in pair]
        parts = {
            "Figures": differences(*map(_scored, pair)),
            "Settings": differences(one.settings, other.settings),
            "Prompts": differences(one.prompts, other.prompts),
        }
        if not any(parts.values()):
            terminal.out.print("They do not differ.")
        for title, found in parts.items():
            _side_by_side(terminal, title, titles, found)


@versions.command()
def promote(
    version: Reference,
    force: Annotated[bool, typer.Option("--force", help="Whatever was scored.")] = False,
) -> None:
    """Make a version the champion, if it beats the present one on the same test records."""
    with registry_session() as terminal:
        from ..optimizers.versions import promote as promote_version

        with checking():
            show_promotion(terminal, promote_version(version, force=force))


@versions.command()
def rollback(name: Annotated[str, typer.Argument(metavar="NAME", help="Such as overton.")]) -> None:
    """Make the champion before the present one the champion again."""
    with registry_session() as terminal:
        from ..optimizers.versions import rollback as roll_back

        with checking():
            show_promotion(terminal, roll_back(name))


def show_promotion(terminal: Terminal, made: Promotion) -> None:
    """Say who is the champion now, and why."""
    champion = made.version
    instead = f" instead of {made.former.name}/{made.former.number}" if made.former else ""
    said = f"models:/{champion.name}@champion is {champion.name}/{champion.number} now{instead}: {made.why}."
    terminal.out.print(said, markup=False, soft_wrap=True)


def _row(version: Version) -> list[str]:
    scores = version.scores
    return [
        f"{version.name}/{version.number}",
        version.program,
        ", ".join(version.aliases),
        scores.described() if scores else "",
        str(scores.n) if scores else "",
        scores.digest[:8] if scores else "",
        f"{version.created:%Y-%m-%d %H:%M}",
    ]


def _scored(version: Version) -> dict[str, str]:
    """What a version scored, by name; figures first."""
    if version.scores is None:
        return {}
    facts = version.scores.summary()
    others = facts.pop("others", {})
    shown = {name: facts[name] for name in ("task", "scorer", "split", "n", "source", "digest") if facts.get(name)}
    figure = version.scores.described().removeprefix(f"{version.scores.figure} ")
    return {version.scores.figure: figure} | {name: str(value) for name, value in {**others, **shown}.items()}


def _side_by_side(terminal: Terminal, title: str, versions: Sequence[str], found: Sequence[Difference]) -> None:
    from . import show

    if found:
        rows = [[one.name, *("-" if text is None else text for text in (one.first, one.second))] for one in found]
        terminal.out.print(show.listing([title, *versions], rows))
        terminal.out.print()
