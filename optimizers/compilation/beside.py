"""Baselines beside a compiled program on the same records, also at equal length: coverage can be bought by length.

Where responses are free text, the prompted baseline is also asked for as many words as the program's responses have,
and cut where one is longer; and the program's responses are cut to the length of the baseline's. This file knows
baselines and lengths; it must not know how anything was compiled.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import dspy

from ...programs.baselines import Prompted, Vanilla
from ...programs.program import Program
from ..journal import RunError
from ..metrics import Figure, TaskMetric, count_words, mean_figure, truncate_words
from .bench import Asked, Row
from .hopeless import Hopeless
from .parts import Part
from .report import WORDS, Beside
from .verdict import compared

AS_LONG = "prompted equally long"
CUT = "prompted equally short"

_BASELINES: Mapping[str, type[Program]] = {"vanilla": Vanilla, "prompted": Prompted}

_TOKENS_PER_WORD = 1.5
"""English prose takes 1.2 to 1.4 with the usual tokenizers; an LM that does not stop by itself always uses all."""


def further_answers(options: bool) -> int:
    """How many answers of baselines there are for each record."""
    return len(_BASELINES) + (0 if options else 1)


def baselines_of(student: Program) -> dict[str, Program]:
    """The baselines with the same base LLM, by name; one that is compiled itself is not repeated."""
    return {name: kind(student.base) for name, kind in _BASELINES.items() if type(student) is not kind}


def as_long(base: dspy.LM, part: Part, found: Sequence[Row]) -> Asked | None:
    """The prompted baseline asked for as many words as a program's responses have, and with room for them.

    Returns:
        None where the rows are no responses.
    """
    if not _free_text(found):
        return None
    words = round(_mean_words(found))
    room, needed = base.kwargs.get("max_tokens"), math.ceil(words * _TOKENS_PER_WORD)
    program = Prompted(base if room is None or room >= needed else base.copy(max_tokens=needed))
    for predictor in (program.respond, program.respond_for):
        signature = predictor.signature
        predictor.signature = signature.with_instructions(f"{signature.instructions} Write about {words} words.")
    return Asked(program, part.examples)


def beside(
    metric: TaskMetric,
    part: Part,
    found: Sequence[Row],
    baselines: Mapping[str, Asked],
    long: Asked | None,
    seed: int,
) -> Iterator[Beside]:
    """Compare a program with baselines on the same records.

    Args:
        metric: What scores them.
        part: The records.
        found: What the compiled program made of them.
        baselines: What each baseline made of them; see `baselines_of`.
        long: What the prompted baseline made of them at about the program's length; see `as_long`.
        seed: Of the resamples.
    """
    prompted: Sequence[Row] = ()
    for name, asked in baselines.items():
        rows, problem = _answered(asked)
        yield _pair(name, metric, part, found, rows, seed, problem)
        prompted = rows if type(asked.program) is Prompted else prompted
    if long is None:
        return
    rows, problem = _answered(long)
    yield _pair(AS_LONG, metric, part, found, _shortened(metric, part, rows, found), seed, problem)
    if prompted:
        cut = _shortened(metric, part, found, prompted)
        yield _pair(CUT, metric, part, cut, prompted, seed)


def figures_of(metric: TaskMetric, part: Part, rows: Sequence[Row]) -> dict[str, Figure]:
    """The figures of answers, the primary one first, with their length where they are free text."""
    predictions, scores = [row.prediction for row in rows], [row.counted for row in rows]
    figures = metric.summary(part.examples, predictions, scores)
    if metric.primary not in figures:
        figures = {metric.primary: mean_figure(metric.primary, scores, metric.groups(part.examples)), **figures}
    if WORDS not in figures and _free_text(rows):
        lengths = [math.nan if row.prediction is None else count_words(row.prediction.response) for row in rows]
        figures[WORDS] = mean_figure(WORDS, lengths, metric.groups(part.examples))
    return figures


def _answered(asked: Asked) -> tuple[Sequence[Row], str]:
    """What a baseline makes of the records, or why it makes nothing of them."""
    try:
        return asked.answers(), ""
    except RunError as error:  # a metric may read what only modes predict; the compilation stands all the same
        return [], str(error)
    except Hopeless as halt:
        return [], str(halt.error)


def _pair(
    name: str,
    metric: TaskMetric,
    part: Part,
    program: Sequence[Row],
    baseline: Sequence[Row],
    seed: int,
    problem: str = "",
) -> Beside:
    rows = baseline or [Row(math.nan, None)] * len(program)
    return Beside(
        name,
        figures_of(metric, part, program),
        figures_of(metric, part, rows),
        compared(metric, part.examples, program, rows, seed),
        problem,
    )


def _shortened(metric: TaskMetric, part: Part, rows: Sequence[Row], others: Sequence[Row]) -> list[Row]:
    """Responses that are no longer than the others to the same records, scored anew where something was cut."""
    return [_cut(metric, *triple) for triple in zip(part.examples, rows, others, strict=True)] if rows else []


def _cut(metric: TaskMetric, example: dspy.Example, row: Row, other: Row) -> Row:
    if row.prediction is None or other.prediction is None:
        return Row(math.nan, None)
    response = truncate_words(row.prediction.response, count_words(other.prediction.response))
    if response == row.prediction.response:
        return row
    prediction = dspy.Prediction(**{**row.prediction.toDict(), "response": response})
    return Row(metric.row(example, prediction), prediction)


def _free_text(rows: Sequence[Row]) -> bool:
    predictions = [row.prediction for row in rows if row.prediction is not None]
    return bool(predictions) and all("response" in prediction for prediction in predictions)


def _mean_words(rows: Sequence[Row]) -> float:
    lengths = [count_words(row.prediction.response) for row in rows if row.prediction is not None]
    return math.fsum(lengths) / len(lengths)
