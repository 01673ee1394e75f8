"""What a compilation found, as an object and as JSON; see `report_text` for people's version.

This file must not know how anything was compiled.
"""

from __future__ import annotations

import difflib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import dspy

from ...programs.choice import MeasuredChoice
from ...programs.learned import Setting, Weights
from ..evaluation.usage import Tokens
from ..metrics import Comparison, Figure
from .estimate import Estimate
from .trials import Trial

SELECTION = "selection"
"""The part, and the figure, of how often the right message is selected."""

WORDS = "words"
"""The figure of responses' length."""


@dataclass(frozen=True)
class RowReport:
    """One record, answered before and after.

    Attributes:
        record: Its digest; see `answering.record_digest`.
        group: Digest of the situation or question that it belongs to.
        before: Score of the program as it was; NaN where the record is left out, or the program failed on it.
        after: Score of the program that is returned.
    """

    record: str
    group: str
    before: float
    after: float


@dataclass(frozen=True)
class Beside:
    """A baseline beside the program that is returned, on the same records.

    Attributes:
        name: Which one, and what was done for equal lengths.
        program: Figures of the program, as it was compared with this one.
        baseline: Figures of the baseline.
        comparison: Of their scores, program minus baseline.
        problem: Why the baseline has no scores; empty where it has.
    """

    name: str
    program: Mapping[str, Figure]
    baseline: Mapping[str, Figure]
    comparison: Comparison
    problem: str = ""


@dataclass(frozen=True)
class PartReport:
    """One part of the records, answered before and after.

    Attributes:
        name: `dev`, `test`, or `unseen` for records from elsewhere.
        source: Where the records are from.
        digest: SHA-256 of the records; see `modplural.data.Split`.
        records: How many were answered.
        before: Figures of the program as it was, by name; the task's primary one is the first.
        after: Figures of the program that is returned.
        comparison: Of their scores, after minus before, on the same records.
        rows: Each record; none where they were looked at for choosing.
        beside: Baselines; none where they were looked at for choosing.
        failed_before: Records that the program as it was failed on; no figure and no comparison counts them.
        failed_after: The same of the program that is returned.
    """

    name: str
    source: str
    digest: str
    records: int
    before: Mapping[str, Figure]
    after: Mapping[str, Figure]
    comparison: Comparison
    rows: tuple[RowReport, ...] = ()
    beside: tuple[Beside, ...] = ()
    failed_before: int = 0
    failed_after: int = 0


@dataclass(frozen=True)
class CompileReport:
    """What a compilation found.

    Attributes:
        task: The task's name.
        program: Type of the program.
        strategy: What was tried, by name.
        kept: Whether the winner of the search is returned; otherwise it is the student.
        reason: Why.
        primary: The figure that decides.
        higher_is_better: Whether a higher one is the better one.
        scorer: What scored the rows, where that could have been another one.
        dev: The winner of the search against the student on the dev records, whether it was kept or not.
        test: The program that is returned against the student on the test records, which no strategy saw.
        unseen: The same on records from elsewhere; None where there were none.
        selection: How often the right message is selected on test situations; None where none is.
        diff: Instructions, demos and settings before and after, as a unified diff; of the winner, kept or not.
        trials: All candidates, in order.
        stopped: Whether the budget ended the search.
        estimate: What was expected.
        tokens: What was asked of each LM by model string, over all runs that led here.
        costs: What that cost in US dollars, where a price is known.
        settings: Seed, budget, digests, versions, and whatever else decides the result.
        seconds: How long this run took.
        load: Load of the machine over the last 1, 5 and 15 minutes, at the end.
        run_id: The run in MLflow; None where there is none.
    """

    task: str
    program: str
    strategy: str
    kept: bool
    reason: str
    primary: str
    higher_is_better: bool
    scorer: str | None
    dev: PartReport
    test: PartReport
    unseen: PartReport | None
    selection: PartReport | None
    diff: str
    trials: tuple[Trial, ...]
    stopped: bool
    estimate: Estimate
    tokens: Mapping[str, Tokens]
    costs: Mapping[str, float]
    settings: Mapping[str, Any]
    seconds: float
    load: tuple[float, float, float]
    run_id: str | None = None

    @property
    def scored_last(self) -> tuple[PartReport, ...]:
        """The parts that were looked at in the end only."""
        return (self.test,) if self.unseen is None else (self.test, self.unseen)

    @property
    def parts(self) -> tuple[PartReport, ...]:
        """All parts, in the order in which they were looked at."""
        selection = () if self.selection is None else (self.selection,)
        return (self.dev, *self.scored_last, *selection)

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON data; numbers that are none (NaN) become null."""
        found: dict[str, Any] = _plain(asdict(self))
        found["tokens"] = {model: tokens._asdict() for model, tokens in self.tokens.items()}
        found["estimate"]["tokens"] = {model: tokens._asdict() for model, tokens in self.estimate.tokens.items()}
        return found

    def encoded(self) -> bytes:
        """The JSON of it as UTF-8, as a file."""
        return json.dumps(self.to_json(), indent=1, allow_nan=False).encode() + b"\n"


def learned_text(program: dspy.Module) -> str:
    """All that a program has learned, in lines that a diff can compare."""
    lines: list[str] = []
    for name, parameter in program.named_parameters():
        lines.append(f"[{name}]")
        if isinstance(parameter, Setting):
            lines.append(f"value: {parameter.value}")
        elif isinstance(parameter, Weights):
            lines += [f"{community}: {weight:.4g}" for community, weight in parameter.items()]
        elif isinstance(parameter, dspy.Predict):
            lines += _predictor_lines(parameter)
    return "\n".join(lines)


def diff_of(before: dspy.Module, after: dspy.Module) -> str:
    """What one program has learned and the other has not, as a unified diff; empty where they are the same."""
    old, new = (learned_text(program).splitlines() for program in (before, after))
    return "\n".join(difflib.unified_diff(old, new, "before", "after", lineterm="", n=1))


def _predictor_lines(predictor: dspy.Predict) -> list[str]:
    lines = [f"instructions: {line}" for line in predictor.signature.instructions.splitlines()]
    if isinstance(predictor, MeasuredChoice):
        measurement = predictor.measurement
        lines.append(
            f"measured by: {measurement.strategy}, temperature {measurement.temperature:.4g},"
            f" sharpness {measurement.sharpness:.4g}"
        )
        lines += [f"bias of {option}: {value:+.4g}" for option, value in measurement.bias.items()]
    for demo in predictor.demos:
        shown = {name: demo[name] for name in predictor.signature.fields if name in demo}
        lines += [f"demo: {json.dumps(shown, ensure_ascii=False, default=str)}"]
    return lines


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): _plain(part) for name, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list | tuple) else value
