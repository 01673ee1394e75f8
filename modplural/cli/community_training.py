"""`modplural communities train`: an adapter from a community's comments, with a progress bar, resumable."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from .community_editing import add_to_pool, configured, located
from .mlflow_log import quiet_mlflow
from .session import INTERRUPTED, Terminal, WrongUsageError, checking, described, leave, session

if TYPE_CHECKING:
    from ..optimizers.training import TrainedCommunity, TrainingSettings
    from ..optimizers.training.trainer import TrainingProgress


class _Joining(NamedTuple):
    """The pool file that a trained community is added to, and the LM that its entry has to name there, if any."""

    pool: str
    description: str
    model: str | None


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
    seed: Annotated[int | None, typer.Option(min=0, help="Of the split, the initial weights and the order.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, help="Epochs without a better validation after which it ends.")
    ] = None,
    device: Annotated[str | None, typer.Option(help="Such as cpu or cuda; chosen if not given.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an adapter that is there.")] = False,
    pool: Annotated[
        str | None, typer.Option("--pool", metavar="FILE", help="A pool file that the community is added to.")
    ] = None,
    description: Annotated[str | None, typer.Option(help="With --pool: who the community is, in a sentence.")] = None,
) -> None:
    """Train a community LM from comments; the same command goes on with a training that was interrupted."""
    with session() as terminal:
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
        )
        base = base or DEFAULT_BASE
        joining = _joining(name, base, pool, description)
        trained = _train(terminal, name, corpus, base, output, settings, overwrite, device)
        _report(terminal, trained)
        if joining is None:
            _next(terminal, _adding(trained, base))
        else:
            _join(terminal, trained, joining)


def _settings(**given: Any) -> TrainingSettings:
    from pydantic import ValidationError

    from ..optimizers.training import TrainingSettings

    try:
        return TrainingSettings(**{field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        said = (f"--{str(e['loc'][0]).replace('_', '-')}: {e['msg']} (got {e['input']})" for e in error.errors())
        raise WrongUsageError("\n".join(said)) from error


def _joining(name: str, base: str, pool: str | None, description: str | None) -> _Joining | None:
    """What is to be known before a training whose community is to be added to a pool file."""
    from ..pool_editing import check_addable
    from ..programs.config_fields import LOCAL

    if (pool is None) != (description is None):
        raise WrongUsageError("A pool says who each community is: give --pool and --description together.")
    if pool is None or description is None:
        return None
    with checking():
        shared = check_addable(pool, name)
    model = LOCAL + base.removeprefix(LOCAL)
    return _Joining(pool, description, None if (shared.community_base or shared.base).model == model else model)


def _train(
    terminal: Terminal,
    name: str,
    corpus: str,
    base: str,
    output: Path | None,
    settings: TrainingSettings,
    overwrite: bool,
    device: str | None,
) -> TrainedCommunity:
    from ..data.corpus import CorpusError
    from ..optimizers.training import train_community
    from ..programs.engines.weights import WeightsError

    try:
        with quiet_mlflow(), TrainingBar(terminal) as bar:
            return train_community(
                name,
                corpus,
                base=base,
                output=output,
                settings=settings,
                overwrite=overwrite,
                device=device,
                on_progress=bar.show,
            )
    except KeyboardInterrupt:
        leave("Interrupted. The same command goes on after the last finished epoch.", INTERRUPTED)
    except FileExistsError as error:
        raise WrongUsageError(f"{error} (--output DIR, or --overwrite for an adapter)") from error
    except (CorpusError, WeightsError) as error:
        raise WrongUsageError(described(error)) from error


class TrainingBar:
    """A progress bar for a training: steps, speed, time left, and the perplexity of comments that it does not see."""

    def __init__(self, terminal: Terminal) -> None:
        """Draw where the terminal has its notes; where that is none, nothing is drawn."""
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._progress = Progress(
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[perplexity]}"),
            console=terminal.notes,
            disable=not terminal.notes.is_terminal,
        )
        self._task = self._progress.add_task("", total=None, rate="loading the base", perplexity="")
        self._started = False

    def __enter__(self) -> TrainingBar:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, progress: TrainingProgress) -> None:
        """Show how far a training is. What was done before it was interrupted does not count as speed."""
        if not self._started:
            self._started = True
            self._progress.reset(self._task, total=progress.steps, completed=progress.step)
        speed = self._progress.tasks[0].speed
        self._progress.update(
            self._task,
            completed=progress.step,
            rate=f"{speed:.2f} steps/s" if speed else "",
            perplexity=f"perplexity {progress.perplexities[-1]:.2f}" if progress.perplexities else "",
        )


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


def _adding(trained: TrainedCommunity, base: str) -> list[str]:
    """The command that adds a community to a pool file whose LMs run in this process."""
    from ..optimizers.training.train import DEFAULT_BASE
    from ..programs.config_fields import LOCAL

    model = [] if base == DEFAULT_BASE else ["--model", LOCAL + base.removeprefix(LOCAL)]
    said = ["--adapter", _folder(trained), *model, "--description", "Who they are."]
    return ["modplural", "communities", "add", trained.name, "--pool", "my-pool.yaml", *said]


def _join(terminal: Terminal, trained: TrainedCommunity, joining: _Joining) -> None:
    given = {
        "name": trained.name,
        "description": joining.description,
        "adapter": located(_folder(trained), joining.pool),
        "model": joining.model,
    }
    add_to_pool(terminal, joining.pool, configured(given))
    _next(terminal, ["modplural", "ask", "May I?", "--mode", "overton", "--pool", joining.pool])


def _folder(trained: TrainedCommunity) -> str:
    """The adapter's folder, so that nobody takes it for the name of one that comes along."""
    return str(trained.folder) if trained.folder.is_absolute() else f"./{trained.folder}"


def _next(terminal: Terminal, command: list[str]) -> None:
    from rich.text import Text

    terminal.out.print(Text(f"\nNext: {shlex.join(command)}"), soft_wrap=True)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"
