"""What a trainer tells while it runs: curves for the MLflow run, progress for people, and when it has to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from transformers import TrainerCallback

from ..tracking import TrackedRun
from .checkpoints import epochs_since_best, perplexities, perplexity


class TrainingProgress(NamedTuple):
    """How far a training is, and the perplexity of the validation comments after each finished epoch.

    It is per token, and the mean over batches of 16 comments where there are more.
    """

    step: int
    steps: int
    perplexities: tuple[float, ...]


Listener = Callable[[TrainingProgress], None]


class Watcher(TrainerCallback):
    """Hears what the trainer logs, passes it on, and ends the training when the validation no longer gets better.

    All it knows is the trainer's history, which checkpoints keep; so a training that goes on ends where it would have.
    """

    def __init__(self, run: TrackedRun, listener: Listener | None, patience: int) -> None:
        """Watch for a run; `patience` is the epochs without a better perplexity after which the training ends."""
        self._run = run
        self._listener = listener
        self._patience = patience
        self.perplexities: tuple[float, ...] = ()
        self.stepped = False

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take over what was logged before the checkpoint, and nothing else."""
        self.perplexities = perplexities(state.log_history)

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note that there was a step, before which all of a checkpoint has been read."""
        self.stepped = True

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Track the training loss."""
        if logs and "loss" in logs:
            self._run.log_metrics({"loss": float(logs["loss"])}, step=state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        """Track the validation perplexity."""
        self.perplexities = (*self.perplexities, perplexity(metrics))
        self._run.log_metrics({"validation_perplexity": self.perplexities[-1]}, step=state.global_step)
        if epochs_since_best(self.perplexities) >= self._patience:
            control.should_training_stop = True

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how far it is."""
        if self._listener is not None:
            self._listener(TrainingProgress(state.global_step, state.max_steps, self.perplexities))
