"""Value Kaleidoscope for the steerable mode: does one value support a situation, oppose it, or either."""

from typing import Any, ClassVar, Literal, Self

import dspy
from pydantic import model_validator

from .records import Record, Text
from .wording import bare_question

OPTIONS = {"A": "Support", "B": "Oppose", "C": "Either"}
"""Option per letter, as the dataset's question words them."""

_LABEL_TEXTS = {"A": "Supports", "B": "Opposes", "C": "Either"}


class SteerableRecord(Record):
    """`{id, situation, vrd, label_text, label: A|B|C, input, output}`; `vrd` is one value, right or duty."""

    shape: ClassVar = frozenset({"situation", "vrd", "label"})
    prediction_field: ClassVar = "option"
    record_key: ClassVar = "output"

    situation: Text
    vrd: Text
    label_text: Literal["Supports", "Opposes", "Either"]
    label: Literal["A", "B", "C"]
    input: Text

    @model_validator(mode="after")
    def _one_label(self) -> Self:
        if _LABEL_TEXTS[self.label] != self.label_text:
            raise ValueError(
                f"'label' is {self.label!r}, {_LABEL_TEXTS[self.label]!r}, but 'label_text' is {self.label_text!r}"
            )
        return self

    def example(self) -> dspy.Example:
        """Ask the record's question from the standpoint of its value; gold is `option`, as in a prediction."""
        options = list(OPTIONS.values())
        return dspy.Example(
            id=self.id,
            query=bare_question(self.input, options),
            attribute=self.vrd,
            options=options,
            situation=self.situation,
            option=OPTIONS[self.label],
        ).with_inputs("query", "attribute", "options")

    def answer(self, value: Any) -> str:
        """Turn the chosen option into its letter, which the field's scorers read."""
        letters = {option: letter for letter, option in OPTIONS.items()}
        if not isinstance(value, str) or value not in letters:
            raise ValueError(f"the chosen option is {value!r}; the options are {list(letters)}")
        return letters[value]
