"""The trainer: how transformers' Trainer is set up here, and continued from its checkpoints.

This file knows tokens and steps; it must not know communities or where an adapter goes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PrinterCallback, Trainer, TrainingArguments, set_seed

from ..tracking import TrackedRun
from .checkpoints import Checkpoint, epochs_since_best, last_checkpoint, perplexity
from .errors import TrainingError
from .examples import IGNORED, Tokens, batch
from .settings import TrainingSettings
from .targets import choose_targets
from .watcher import Listener, Watcher

_EVAL_ROWS = 16


class Trained(NamedTuple):
    """What a training came to: the best epoch's model, perplexities before and after, and epochs gone through."""

    model: Any
    before: float
    after: float
    epochs: float


def fit(
    model: Any,
    train: Sequence[Tokens],
    validation: Sequence[Tokens],
    settings: TrainingSettings,
    folder: Path,
    run: TrackedRun,
    listener: Listener | None,
) -> Trained:
    """Train a LoRA adapter on a frozen causal LM, from the last checkpoint in `folder` if there is one.

    Raises:
        TrainingError: It cannot go on from that checkpoint.
    """
    set_seed(settings.seed)  # the initial weights are drawn from it
    config = LoraConfig(
        r=settings.rank,
        lora_alpha=2 * settings.rank,
        target_modules=list(choose_targets(model, settings.targets)),
        lora_dropout=0.0,
        task_type="CAUSAL_LM",
    )
    arguments = _arguments(settings, len(train), folder, on_cpu=model.device.type == "cpu")
    _stay_on(model.device, arguments)
    checkpoint = last_checkpoint(folder)
    if checkpoint is not None and epochs_since_best(checkpoint.perplexities) >= settings.patience:
        arguments.num_train_epochs = checkpoint.epochs  # it had ended; what it made was not kept
    watcher = Watcher(run, listener, settings.patience)
    trainer = _MessageTrainer(
        model=get_peft_model(model, config),
        args=arguments,
        train_dataset=list(train),
        eval_dataset=list(validation),
        data_collator=batch,
        callbacks=[watcher],
    )
    trainer.remove_callback(PrinterCallback)
    before = perplexity(trainer.evaluate())
    with _naming(checkpoint, watcher):
        trainer.train(resume_from_checkpoint=str(checkpoint.folder) if checkpoint else None)
    return Trained(trainer.model, before, min(watcher.perplexities), float(trainer.state.epoch or 0))


@contextmanager
def _naming(checkpoint: Checkpoint | None, watcher: Watcher) -> Iterator[None]:
    """Say what to delete where a training cannot go on from a checkpoint, or the same command would fail for ever."""
    try:
        yield
    except Exception as error:  # of whichever library reads the file that is damaged
        if checkpoint is None or watcher.stepped:
            raise
        raise TrainingError(
            f"the training cannot go on from its checkpoint ({type(error).__name__}: {error}); delete the folder"
            f" {checkpoint.folder}, and the same command goes on from an earlier one, or begins anew"
        ) from error


def rate_share(step: int, steps: int) -> float:
    """Share of the peak learning rate at a step, from 0, of a training of so many: up for a tenth of them, then down.

    It is above 0 at every step, the first and the last one too: where there are few, each counts.
    """
    rising = steps // 10
    return (step + 1) / (rising + 1) if step < rising else (steps - step) / (steps - rising)


class _MessageTrainer(Trainer):
    """A trainer that runs the language-model head only where there is a loss: elsewhere it is wasted work."""

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> LambdaLR:
        """The schedule; the trainer's own one begins with a step at rate 0."""
        scheduled: Any = self.optimizer if optimizer is None else optimizer
        self.lr_scheduler = LambdaLR(scheduled, partial(rate_share, steps=num_training_steps))
        return self.lr_scheduler

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


class _OneDevice(TrainingArguments):
    """Arguments of a trainer that, where there are several GPUs, takes one and leaves the model as it is.

    It would put a copy of it on each, for which the model is wrapped; a LoRA of a small LM gains nothing by that.
    """

    @property
    def n_gpu(self) -> int:
        return min(1, super().n_gpu)


def _stay_on(device: torch.device, arguments: TrainingArguments) -> None:
    """Keep a training on the CUDA device that its model is on; the trainer would move it to the first one."""
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
        arguments.distributed_state.device = device  # of accelerate, which places batches
        vars(arguments)["_setup_devices"] = device  # behind `arguments.device`, which places the model


def _arguments(settings: TrainingSettings, comments: int, folder: Path, *, on_cpu: bool) -> TrainingArguments:
    return _OneDevice(
        output_dir=str(folder.absolute()),  # checkpoints name one another by it, and may be gone on with from elsewhere
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=settings.comments_per_step(comments),
        per_device_eval_batch_size=_EVAL_ROWS,
        learning_rate=settings.learning_rate,
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
