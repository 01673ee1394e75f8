"""What decides how a community LM is trained; this file knows numbers only."""

from pydantic import BaseModel, ConfigDict, Field

_COMMENTS_PER_STEP = 8
_STEPS_PER_EPOCH = 4


class TrainingSettings(BaseModel):
    """Settings of a LoRA training. The defaults suit a hundred comments and a base of a hundred million parameters.

    Attributes:
        epochs: Most passes over the corpus; training ends earlier when the validation loss stops falling.
        patience: Epochs without a better validation loss after which it ends.
        learning_rate: Peak of a linear schedule.
        batch_size: Comments per step; when None 8, or fewer where an epoch would have less than four steps.
        rank: LoRA rank (Hu et al., 2021); alpha is twice that.
        targets: Names of the linear layers that are adapted; when None they are chosen by what the base has.
        validation: Share of the queries that is not trained on, and says when to stop.
        seed: Of the split, the initial weights, and the order of the comments.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: int = Field(default=4, gt=0)
    patience: int = Field(default=1, gt=0)
    learning_rate: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    batch_size: int | None = Field(default=None, gt=0)
    rank: int = Field(default=4, gt=0)
    targets: tuple[str, ...] | None = Field(default=None, min_length=1)
    validation: float = Field(default=0.1, gt=0, lt=1)
    seed: int = Field(default=0, ge=0, lt=2**32)

    def comments_per_step(self, comments: int) -> int:
        """Comments per step of a training on so many."""
        fitting = max(1, min(_COMMENTS_PER_STEP, comments // _STEPS_PER_EPOCH))
        return fitting if self.batch_size is None else self.batch_size
