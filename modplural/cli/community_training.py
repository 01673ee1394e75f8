"""`modplural communities train`: an adapter from a community's comments, with a progress bar, resumable."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .bar import Bar
from .community_editing import configured
from .community_joining import join, planned, show_joining
from .mlflow_log import quiet_mlflow
from .session import INTERRUPTED, Terminal, WrongUsageError, described, leave, session

if TYPE_CHECKING:
    from ..optimizers.training import TrainedCommunity, TrainingSettings
    from ..optimizers.training.watcher import TrainingProgress


def train(
    name: Annotated[str, typer.Argument(help="What the community is called.")],
    corpus: Annotated[
        str,
        typer.Option(
            metavar="FILE|HUB_ID", help='Its comments, JSONL of {"query": ..., "message": ...}, or a dataset.'
        ),
    ],
    base: Annotated[
        str | None, typer.Option(metavar="MODEL", help="The LM that is adapted; the one that comes along if not given.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder for the adapter; adapters/NAME if not given.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Most passes over the corpus.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Peak of the schedule.")] = None,
    rank: Annotated[int | None, typer.Option(min=1, help="LoRA rank.")] = None,
    batch_size: Annotated[int | None, typer.Option(min=1, help="Comments per step.")] = None,
    seed: Annotated[
        int | None, typer.Option(min=0, max=2**32 - 1, help="Of the split, the initial weights and the order.")
    ] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without a better validation after which it ends.")
    ] = None,
    targets: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...", help="Linear layers that are adapted; chosen by what the base has if not given."
        ),
    ] = None,
    device: Annotated[str | None, typer.Option(help="Such as cpu or cuda; chosen if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an adapter that is there.")] = False,
    license: Annotated[
        str | None, typer.Option(metavar="ID", help="The adapter's, for its model card, such as cc-by-4.0.")
    ] = None,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="FILE", help="A pool file that the community is added to.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="With --pool: who the community is, in a sentence.")] = None,
) -> None:
    """Train a community LM from comments; the same command goes on with a training that was interrupted."""
    with session() as terminal:
        from ..optimizers.training import train_community
        from ..optimizers.training.train import DEFAULT_BASE

        configured(
            {"name": name, "description": name if description is None else description, "adapter": name}
        )  # a bad name costs no training
        settings = _settings(
            epochs=epochs,
            learning_rate=learning_rate,
            rank=rank,
            batch_size=batch_size,
            seed=seed,
            patience=patience,
            targets=None if targets is None else _listed(targets),
        )
        base = base or DEFAULT_BASE
        joining = planned(name, base, pool, description)
        training = partial(
            train_community,
            name,
            corpus,
            base=base,
            output=output,
            settings=settings,
            overwrite=overwrite,
            license=license,
            device=device,
        )
        trained = _train(terminal, training)
        _report(terminal, trained)
        if joining is None:
            show_joining(terminal, trained, base)
        else:
            join(terminal, trained, joining)


def _listed(names: str) -> tuple[str, ...]:
    return tuple(name.strip() for name in names.split(",") if name.strip())


def _settings(**given: Any) -> TrainingSettings:
    from pydantic import ValidationError

    from ..optimizers.training import TrainingSettings

    try:
        return TrainingSettings(**{field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        said = (f"--{str(e['loc'][0]).replace('_', '-')}: {e['msg']} (got {e['input']})" for e in error.errors())
        raise WrongUsageError("\n".join(said)) from error


def _train(terminal: Terminal, training: Callable[..., TrainedCommunity]) -> TrainedCommunity:
    from ..data.corpus import CorpusError
    from ..optimizers.training import DeviceError, TargetsError
    from ..programs.engines.weights import WeightsError

    try:
        with quiet_mlflow(), TrainingBar(terminal) as bar:
            return training(on_progress=bar.show)
    except KeyboardInterrupt:
        leave("Interrupted. The same command goes on after the last finished epoch.", INTERRUPTED)
    except FileExistsError as error:
        raise WrongUsageError(f"{error} (--output DIR, or --overwrite for an adapter)") from error
    except DeviceError as error:
        raise WrongUsageError(f"--device: {error}") from error
    except TargetsError as error:
        raise WrongUsageError(f"--targets: {error}") from error
    except (CorpusError, WeightsError) as error:
        raise WrongUsageError(described(error)) from error


class TrainingBar(Bar):
    """A progress bar for a training, with the perplexity of comments that it does not see."""

    def __init__(self, terminal: Terminal) -> None:
        """Draw where the terminal has its notes."""
        super().__init__(terminal, "steps", "loading the base")

    def show(self, progress: TrainingProgress) -> None:
        """Show how far a training is."""
        seen = progress.perplexities
        self.draw(progress.step, progress.steps, f"perplexity {seen[-1]:.2f}" if seen else "")


def _report(terminal: Terminal, trained: TrainedCommunity) -> None:
    from mlflow import get_tracking_uri

    from ..programs.errors import redacted
    from . import show

    size = sum(file.stat().st_size for file in trained.folder.iterdir())
    rows = [
        ["comments", str(trained.comments)],
        ["epochs", f"{trained.epochs:g}"],
        ["perplexity", f"{trained.perplexity_before:.2f} -> {trained.perplexity:.2f}, of comments held out"],
        ["time", _duration(trained.seconds)],
        ["folder", str(trained.folder)],
        ["size", f"{size / 1e6:.1f} MB"],
        ["MLflow run", trained.run_id],
        ["MLflow store", redacted(get_tracking_uri())],
    ]
    terminal.out.print(show.listing(["", ""], rows))


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
