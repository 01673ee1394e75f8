"""How often a program selects the message that reflects a value, where it is known which one does.

The records of the steerable tasks say what to answer, and not from which message. But the sample's situations have an
explanation for each of their values: given as messages, the one to select for a value is its own explanation. This file
knows the steerable mode and situations; it must not know how selections are measured.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

import dspy

from ...data import load_task, split_records
from ...data.overton import OvertonRecord
from ...programs.messages import quoted
from ...programs.program import Program
from ...programs.steerable import Steerable
from ...programs.steps import Call, Steps, drive
from ..metrics import Figure, mean_figure

FIGURE = "selection"
"""The share of selections that are right."""

QUESTIONS = 100
"""So many are asked at most: each takes a prompt per message, and the best strategy is far ahead."""


def selections(split: str, seed: int = 0, most: int = QUESTIONS) -> list[dspy.Example]:
    """Questions from the sample: a situation, a value, and explanations of which one is the value's.

    Args:
        split: `train`, `dev` or `test`: the situations of that part, as everywhere.
        seed: Draws the questions, where there are more than `most`.
        most: So many at most.

    Returns:
        Examples with `query`, `attribute` and `options`; gold is `choice`.
    """
    records = getattr(split_records(load_task("overton-vk")), split).records.values()
    found = [example for record in records for example in _questions(record)]
    return random.Random(seed).sample(found, min(most, len(found)))


def selection_scores(program: Steerable, examples: Sequence[dspy.Example], threads: int) -> list[float]:
    """Ask a program's selection: 1 where it is right, 0 where it is not."""

    def right(example: dspy.Example) -> float:
        return float(drive(_selected(program, example)) == example.choice)

    with ThreadPoolExecutor(threads, thread_name_prefix="modplural-select") as pool:
        return list(pool.map(lambda example: copy_context().run(right, example), examples))


def selection_figure(program: Program, threads: int, seed: int = 0) -> dict[str, Figure]:
    """The share of right selections on the sample's test situations; nothing for programs that select no message."""
    if not isinstance(program, Steerable):
        return {}
    examples = selections("test", seed)
    scores = selection_scores(program, examples, threads)
    return {FIGURE: mean_figure(FIGURE, scores, [example.query for example in examples], seed=seed)}


def _questions(record: OvertonRecord) -> Iterator[dspy.Example]:
    options = [quoted(text) for text in record.explanation]
    if len(set(options)) < max(2, len(options)):
        return
    for value, explanation in zip(record.vrd, options, strict=True):
        yield dspy.Example(query=record.situation, attribute=value, options=options, choice=explanation).with_inputs(
            "query", "attribute", "options"
        )


def _selected(program: Steerable, example: dspy.Example) -> Steps[str]:
    (chosen,) = yield [Call(program.select, example.inputs().toDict(), program.base)]
    return str(chosen.choice)
