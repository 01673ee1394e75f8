"""What a version scored on held-out records: the figure that versions are compared by, and its rows for a paired test.

This file knows scores as data; it must not know MLflow, nor how anything was measured.
"""

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class RowScore(_Data):
    """The score of one record.

    Attributes:
        record: Tells the record from all others of the split, such as its digest.
        group: The situation that it belongs to; rows of one situation are drawn together.
        score: By the task's metric.
    """

    record: str
    group: str
    score: float = Field(allow_inf_nan=False)


class Scores(_Data):
    """What a version scored.

    Two versions compare where `task`, `figure`, `scorer` and `digest` are the same.

    Attributes:
        task: The task's name.
        figure: What was measured, such as "value coverage".
        value: The number.
        low: Where its 95% interval begins; None where it has none.
        high: Where it ends.
        n: Number of rows.
        digest: Of the records that were scored.
        split: Which part of the data they are.
        source: Where the records are from.
        higher_is_better: Whether a higher value is the better one.
        scorer: What scored the rows, where that could have been another one.
        others: Further figures by name, for the record.
        rows: The score of each row; without them a comparison cannot be paired.
    """

    task: str
    figure: str
    value: float = Field(allow_inf_nan=False)
    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)
    n: int = Field(gt=0)
    digest: str = Field(min_length=1)
    split: str = "test"
    source: str = ""
    higher_is_better: bool = True
    scorer: str | None = None
    others: dict[str, float] = {}
    rows: tuple[RowScore, ...] = ()

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.low is None) != (self.high is None):
            raise ValueError("low and high make an interval together; give both or none")
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError(f"the interval begins at {self.low:g} and ends before that, at {self.high:g}")
        if len({row.record for row in self.rows}) < len(self.rows):
            raise ValueError("two rows are of the same record, so rows of two versions could not be paired")
        return self

    def summary(self) -> dict[str, Any]:
        """All of it but the rows."""
        return self.model_dump(mode="json", exclude={"rows"}, exclude_none=True)

    def described(self) -> str:
        """The figure in a few words: `value coverage 0.512 [0.480, 0.540]`."""
        interval = "" if self.low is None else f" [{self.low:.3f}, {self.high:.3f}]"
        return f"{self.figure} {self.value:.3f}{interval}"
