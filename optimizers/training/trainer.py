"""The trainer: how transformers' Trainer is set up here, watched, and continued from its checkpoints.

This file knows tokens and steps; it must not know communities or where an adapter goes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from transformers import EarlyStoppingCallback, PrinterCallback, Trainer, TrainerCallback, TrainingArguments, set_seed

from ..tracking import TrackedRun
from .examples import IGNORED, Tokens, batch
from .settings import TrainingSettings

_EVAL_ROWS = 16
_LARGEST_LOSS = 700.0


class TrainingProgress(NamedTuple):
    """How far a training is, and the perplexity of the validation comments after each finished epoch.

    It is per token, and the mean over batches of 16 comments where there are more.
    """

    step: int
    steps: int
    perplexities: tuple[float, ...]


class Trained(NamedTuple):
    """What a training came to: the best epoch's model, perplexities before and after, and epochs gone through."""

    model: Any
    before: float
    after: float
    epochs: float


Listener = Callable[[TrainingProgress], None]


def fit(
    model: Any,
    train: Sequence[Tokens],
    validation: Sequence[Tokens],
    settings: TrainingSettings,
    folder: Path,
    run: TrackedRun,
    listener: Listener | None,
) -> Trained:
    """Train a LoRA adapter on a frozen causal LM, from the last checkpoint in `folder` if there is one."""
    set_seed(settings.seed)  # the initial weights are drawn from it
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        target_modules=list(settings.targets),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    watcher = _Watcher(run, listener)
    trainer = _MessageTrainer(
        model=get_peft_model(model, config),
        args=_arguments(settings, folder, on_cpu=model.device.type == "cpu"),
        train_dataset=list(train),
        eval_dataset=list(validation),
        data_collator=batch,
        callbacks=[EarlyStoppingCallback(settings.patience), watcher],
    )
    trainer.remove_callback(PrinterCallback)
    before = _perplexity(trainer.evaluate())
    watcher.perplexities.clear()
    trainer.train(resume_from_checkpoint=_last_checkpoint(folder))
    return Trained(trainer.model, before, min(watcher.perplexities), float(trainer.state.epoch or 0))


class _MessageTrainer(Trainer):
    """A trainer that runs the language-model head only where there is a loss: elsewhere it is wasted work."""

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Cross-entropy per token of the messages."""
        wanted = inputs["labels"][:, 1:]
        scored = wanted != IGNORED
        base = model.get_base_model()
        hidden = base.get_decoder()(inputs["input_ids"], attention_mask=inputs["attention_mask"]).last_hidden_state
        logits = base.get_output_embeddings()(hidden[:, :-1][scored]).float()
        total = nn.functional.cross_entropy(logits, wanted[scored], reduction="sum")
        loss = total / (scored.sum() if num_items_in_batch is None else num_items_in_batch)
        return (loss, {}) if return_outputs else loss


def _arguments(settings: TrainingSettings, folder: Path, *, on_cpu: bool) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.batch_size,
        per_device_eval_batch_size=_EVAL_ROWS,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="linear",
        warmup_steps=0.1,
        weight_decay=0.0,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        logging_steps=1,
        seed=settings.seed,
        data_seed=settings.seed,
        remove_unused_columns=False,
        dataloader_pin_memory=False,
        label_names=["labels"],
        use_cpu=on_cpu,  # the trainer would move the model to whatever accelerator it finds
        disable_tqdm=True,
        report_to="none",
    )


def _perplexity(metrics: Mapping[str, float]) -> float:
    """Of an evaluation; infinite where a training went so wrong that it is no number."""
    loss = metrics["eval_loss"]
    return math.exp(loss) if loss < _LARGEST_LOSS else math.inf


def _last_checkpoint(folder: Path) -> str | None:
    """The newest whole checkpoint; a kill while one was written leaves one without its state, which is removed."""
    steps = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in steps:
        if (path / "trainer_state.json").is_file():
            return str(path)
        shutil.rmtree(path)
    return None


class _Watcher(TrainerCallback):
    """Hears what the trainer logs, and passes it on."""

    def __init__(self, run: TrackedRun, listener: Listener | None) -> None:
        self._run = run
        self._listener = listener
        self.perplexities: list[float] = []

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Take over what was logged before the checkpoint."""
        self.perplexities = [_perplexity(entry) for entry in state.log_history if "eval_loss" in entry]

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Track the training loss."""
        if logs and "loss" in logs:
            self._run.log_metrics({"loss": float(logs["loss"])}, step=state.global_step)

    def on_evaluate(self, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
        """Track the validation perplexity."""
        self.perplexities.append(_perplexity(metrics))
        self._run.log_metrics({"validation_perplexity": self.perplexities[-1]}, step=state.global_step)

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Say how far it is."""
        if self._listener is not None:
            self._listener(TrainingProgress(state.global_step, state.max_steps, tuple(self.perplexities)))
