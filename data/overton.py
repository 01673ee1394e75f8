"""Value Kaleidoscope for the Overton mode: a situation with every value at stake and one explanation for each."""

from typing import Any, ClassVar, Self

import dspy
from pydantic import Field, model_validator

from .records import Record, Text


class OvertonRecord(Record):
    """`{id, situation, vrd: [...], explanation: [...], input, output}`; `vrd` is short for value, right or duty."""

    shape: ClassVar = frozenset({"situation", "vrd", "explanation"})
    prediction_field: ClassVar = "response"
    record_key: ClassVar = "output"

    situation: Text
    vrd: list[Text] = Field(min_length=1)
    explanation: list[Text]
    input: Text

    @model_validator(mode="after")
    def _one_explanation_each(self) -> Self:
        if len(self.vrd) != len(self.explanation):
            raise ValueError(f"{len(self.vrd)} values in 'vrd' but {len(self.explanation)} texts in 'explanation'")
        return self

    def example(self) -> dspy.Example:
        """Ask the record's `input`; gold are `vrd` and `explanation`, aligned."""
        return dspy.Example(
            id=self.id, query=self.input, situation=self.situation, vrd=self.vrd, explanation=self.explanation
        ).with_inputs("query")

    def answer(self, value: Any) -> str:
        """Take the response as it is."""
        if not isinstance(value, str) or not value.strip():
            raise ValueError(f"the response is {value!r}, where a text is needed")
        return value
