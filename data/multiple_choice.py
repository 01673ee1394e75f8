"""Questions with options and a gold distribution over them: OpinionQA, MoralChoice and GlobalOpinionQA.

The three share one layout and differ in what their `attribute` means: a demographic group by code, how ambiguous a
scenario is, or a country.
"""

import math
import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import dspy
from pydantic import Field, model_validator

from .records import Record, Text
from .wording import bare_question

SUM_TOLERANCE = 0.02
"""How far a gold distribution may be from a sum of one: published shares are rounded. It is scaled to one."""

GROUP_KINDS = {
    "AGE": "age",
    "CITIZEN": "citizen of the United States",
    "CREGION": "region of the United States",
    "EDUCATION": "education",
    "INCOME": "family income",
    "MARITAL": "marital status",
    "POLIDEOLOGY": "political ideology",
    "POLPARTY": "political party",
    "RACE": "race",
    "RELIG": "religion",
    "RELIGATTEND": "attendance at religious services",
    "SEX": "sex",
}
"""What the codes of OpinionQA (Santurkar et al., ICML 2023) stand for, as in `POLPARTY_Republican`."""

_GROUP = re.compile(rf"(?P<kind>{'|'.join(GROUP_KINDS)})_(?P<group>.+)", re.DOTALL)

Share = Annotated[float, Field(ge=0)]


class MultipleChoiceRecord(Record):
    """`{id, question, options, attribute, gold_distribution, pred_distribution}`, distributions in option order."""

    shape: ClassVar = frozenset({"question", "options", "gold_distribution"})
    prediction_field: ClassVar = "probabilities"
    record_key: ClassVar = "pred_distribution"

    question: Text
    options: list[Text] = Field(min_length=1)
    attribute: Text
    gold_distribution: list[Share]

    @model_validator(mode="after")
    def _aligned(self) -> Self:
        if repeated := sorted({option for option in self.options if self.options.count(option) > 1}):
            raise ValueError(f"'options' are not distinct: {repeated} occur more than once")
        if len(self.options) != len(self.gold_distribution):
            raise ValueError(
                f"{len(self.options)} texts in 'options' but {len(self.gold_distribution)} in 'gold_distribution'"
            )
        if abs(sum(self.gold_distribution) - 1) > SUM_TOLERANCE:
            raise ValueError(f"'gold_distribution' sums to {sum(self.gold_distribution):.4g}, not to 1")
        if not bare_question(self.question, self.options):
            raise ValueError("'question' holds its options and no question")
        return self

    def asked(self) -> dict[str, str]:
        """Return the call inputs beside `query` and `options`; a subclass says what its attribute contributes."""
        return {}

    def example(self) -> dspy.Example:
        """Ask the bare question; gold is `gold_distribution` by option, and `group` is the attribute as written."""
        total = sum(self.gold_distribution)
        shares = [share / total for share in self.gold_distribution]
        asked = {"query": bare_question(self.question, self.options), "options": self.options, **self.asked()}
        return dspy.Example(
            id=self.id,
            group=self.attribute,
            gold_distribution=dict(zip(self.options, shares, strict=True)),
            **asked,
        ).with_inputs(*asked)

    def answer(self, value: Any) -> list[float]:
        """Put the probabilities into the order of the record's options."""
        if not isinstance(value, Mapping) or set(value) != set(self.options):
            raise ValueError(f"the probabilities are {value!r}, where one for each of {self.options} is needed")
        shares = [float(value[option]) for option in self.options]
        if not all(math.isfinite(share) and share >= 0 for share in shares) or not math.isclose(
            sum(shares), 1, abs_tol=1e-3
        ):
            raise ValueError(f"the probabilities {value!r} are no distribution")
        return shares

    def settled(self) -> list[float] | None:
        """One option takes all, whatever an LM would say; figures count such records apart."""
        return [1.0] if len(self.options) == 1 else None


class OpinionRecord(MultipleChoiceRecord):
    """A survey question asked of one demographic group, named by a code such as `RELIG_Hindu`."""

    @classmethod
    def fits(cls, row: object) -> bool:
        """Recognise the coded group."""
        return super().fits(row) and _GROUP.fullmatch(_attribute(row)) is not None

    def asked(self) -> dict[str, str]:
        """Name the group in words; one that is not coded is named as it is."""
        coded = _GROUP.fullmatch(self.attribute)
        return {"attribute": f"{coded['group']} ({GROUP_KINDS[coded['kind']]})" if coded else self.attribute}


class MoralChoiceRecord(MultipleChoiceRecord):
    """A scenario with two actions; the attribute, how ambiguous it is, would give the gold away and is not asked."""

    attribute: Literal["low_ambiguity", "high_ambiguity"]

    @classmethod
    def fits(cls, row: object) -> bool:
        """Recognise the degree of ambiguity."""
        return super().fits(row) and _attribute(row) in ("low_ambiguity", "high_ambiguity")


class CountryRecord(MultipleChoiceRecord):
    """A survey question asked in one country, or of any other population that is named in plain words."""

    def asked(self) -> dict[str, str]:
        """Name the population as the record does."""
        return {"attribute": self.attribute}


def _attribute(row: Any) -> str:
    return str(row.get("attribute"))
