"""Training of one community LM: a LoRA adapter (Hu et al., 2021) on a frozen base, from the community's comments.

A training that was killed goes on at its last finished epoch when the same one is asked for again, and the adapter
appears in its folder whole or not at all. This file binds corpus, model, trainer and adapter together.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...data.corpus import Corpus, CorpusError, read_corpus
from ...programs.config_fields import LOCAL
from ...programs.engines.backbone import ModelFacts, load_backbone
from ...programs.engines.devices import find_device
from ...programs.engines.embedded import EMBEDDED
from ...programs.engines.models import resolve_model
from ..tracking import TrackedRun, tracked_run
from .adapter import write_adapter
from .errors import DeviceError, TrainingError
from .examples import Tokens, encode
from .folder import AdapterFolder
from .settings import TrainingSettings
from .targets import find_targets

if TYPE_CHECKING:
    from .watcher import Listener

EXPERIMENT = "modplural-communities"
"""The MLflow experiment that trainings belong to."""

DEFAULT_BASE = "local/smollm2-135m-instruct"


@dataclass(frozen=True)
class TrainedCommunity:
    """A community LM that was trained.

    Attributes:
        name: The community.
        folder: The adapter: safetensors, configuration and model card.
        comments: Comments that it was trained on.
        epochs: Epochs gone through; those after the best one are not in the adapter.
        perplexity_before: Of the validation comments under the base alone, per token.
        perplexity: The same with the adapter.
        seconds: What it took in this process.
        run_id: The MLflow run.
    """

    name: str
    folder: Path
    comments: int
    epochs: float
    perplexity_before: float
    perplexity: float
    seconds: float
    run_id: str


def train_community(
    name: str,
    corpus: Corpus | str | Path,
    *,
    base: str = DEFAULT_BASE,
    output: str | Path | None = None,
    settings: TrainingSettings | None = None,
    overwrite: bool = False,
    license: str | None = None,
    device: str | None = None,
    on_progress: Listener | None = None,
) -> TrainedCommunity:
    """Train a LoRA adapter that speaks for a community.

    Args:
        name: What the community is called.
        corpus: Its comments, or a JSONL file or hub dataset of them; see `modplural.data.corpus.read_corpus`.
        base: `local/` and an embedded name, a folder, or a hub id: the LM whose adapter it becomes.
        output: Folder for the adapter; `adapters/<name>` when None. While it is made, checkpoints are kept beside it.
        settings: How it is trained.
        overwrite: Whether an adapter that is in `output` may be replaced.
        license: The adapter's, for its model card, such as "apache-2.0"; the card claims none when None.
        device: Such as "cuda"; chosen automatically when None.
        on_progress: Told after every step.

    Raises:
        CorpusError: The corpus cannot be used; the message names the lines. Or a comment is longer than the base reads.
        DeviceError: The device is not there.
        TargetsError: A layer that the settings name is not in the base.
        ValueError: The base cannot be found or used.
        FileExistsError: There is an adapter in `output` and `overwrite` is not set, or something else is in it.
        TrainingError: Another process trains this adapter, or it learned nothing.
    """
    started, settings = time.monotonic(), settings or TrainingSettings()
    _check_device(device)
    target = Path("adapters", name) if output is None else Path(output)
    folder = AdapterFolder(target.resolve() if target.name in ("", "..") else target, overwrite)
    folder.check()
    comments = corpus if isinstance(corpus, Corpus) else read_corpus(corpus)
    train, validation = comments.split(settings.validation, settings.seed)
    source = resolve_model(base.removeprefix(LOCAL))
    settings = settings.model_copy(update={"targets": find_targets(source.path(), settings.targets)})
    facts = {
        "community": name,
        "base": f"{source.name}@{source.revision}",
        "corpus": Path(comments.source).name,
        "corpus_digest": comments.digest,
        "comments": len(train.comments),
        **settings.model_dump(mode="json"),
        "batch_size": settings.comments_per_step(len(train.comments)),
    }
    from .trainer import fit

    with folder.held():
        backbone = load_backbone(source.path(), device)
        rows, held_out = _encoded(train, backbone.facts), _encoded(validation, backbone.facts)
        work = folder.work(facts)
        with _tracked(name, facts, work) as run:
            fitted = fit(backbone.model, rows, held_out, settings, work / "checkpoints", run, on_progress)
            if not fitted.after < fitted.before:
                shutil.rmtree(work)  # going on from its last checkpoint would end the same way
                raise TrainingError(_learned_nothing(name, fitted.before, fitted.after))
            found = {"perplexity_before": fitted.before, "perplexity": fitted.after, "epochs_done": fitted.epochs}
            run.log_metrics(found)
            base_name = EMBEDDED[source.name].hub_id if source.name in EMBEDDED else source.name
            write_adapter(fitted.model, base_name, name, license, {**facts, **found}, work / "adapter")
            run.log_folder(work / "adapter", "adapter")
            folder.put(work / "adapter")
        shutil.rmtree(work)
    seconds = time.monotonic() - started
    return TrainedCommunity(
        name, folder.path, len(rows), fitted.epochs, fitted.before, fitted.after, seconds, run.run_id
    )


def _check_device(name: str | None) -> None:
    try:
        find_device(name)
    except ValueError as error:
        raise DeviceError(str(error)) from error


@contextmanager
def _tracked(name: str, facts: Mapping[str, Any], work: Path) -> Iterator[TrackedRun]:
    """The MLflow run of a training, which stays the same however often it is stopped and gone on with."""
    noted = work / "mlflow-run"
    begun = noted.read_text(encoding="utf-8") if noted.is_file() else ""
    with tracked_run(EXPERIMENT, name, facts, begun or None) as run:
        work.mkdir(exist_ok=True)
        noted.write_text(run.run_id, encoding="utf-8")
        yield run


def _encoded(corpus: Corpus, facts: ModelFacts) -> list[Tokens]:
    try:
        return [encode(comment, facts) for comment in corpus.comments]
    except ValueError as error:
        raise CorpusError(f"{corpus.source}: {error}") from error


def _learned_nothing(name: str, before: float, after: float) -> str:
    if after == before:
        remedy = "its steps were too few or too small: give more comments, more epochs, or a higher learning rate"
    else:
        remedy = "lower the learning rate, or give a larger corpus"
    return (
        f"the adapter of {name!r} learned nothing: the perplexity of comments it did not see went from {before:.2f} to "
        f"{after:.2f}; {remedy}. Nothing was written"
    )
