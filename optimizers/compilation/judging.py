"""Judges the winner of a search: whether it is kept, or what of it.

Where the winner as a whole is not proved to be better, its way to select messages may be: that is judged by itself, on
situations where the right message is known (see `selection`), and kept alone. This file knows the order of tests; the
tests are in `verdict`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ...programs.program import Program
from ...programs.steerable import Steerable
from .bench import Bench, Row
from .final import part_report
from .parts import Part
from .report import PartReport
from .selection import QUESTIONS, selecting_like, selection_part
from .verdict import LEVEL, Proof, differs, lead, refusal

LOOKS = (25, QUESTIONS)
"""Questions after which it is looked whether a way to select is proved to be better: a large lead is seen early."""


class Judged(NamedTuple):
    """What becomes of a winner.

    Attributes:
        program: The winner, or where it is not kept, what of it is.
        kept: Whether it is returned; otherwise the student is.
        reason: Why.
        dev: It against the student on the dev records.
    """

    program: Program
    kept: bool
    reason: str
    dev: PartReport


def judged(
    bench: Bench, dev: Part, student: Program, winner: Program, before: Sequence[Row], candidates: int, stopped: bool
) -> Judged:
    """Judge a winner.

    Args:
        bench: Where the dev records are answered and scored.
        dev: The dev records.
        student: What the search began with.
        winner: What it ended with.
        before: What the student made of the dev records.
        candidates: Candidates among which these records chose.
        stopped: Whether the budget ended the search.
    """
    after = bench.answer(winner, dev.examples) if differs(winner, student) else before
    report = part_report(bench, dev, before, after)
    proof = Proof(lead(bench.metric, dev.examples, after, before, bench.seed), candidates)
    refused = refusal(winner, student, report, proof, stopped)
    if not refused:
        return Judged(winner, True, f"better on the dev records: {proof}", report)
    return _selecting(bench, dev, student, winner, before) or Judged(winner, False, refused, report)


def _selecting(bench: Bench, dev: Part, student: Program, winner: Program, before: Sequence[Row]) -> Judged | None:
    """The student with the winner's way to select, where that is proved better and no answers are proved worse."""
    candidate = selecting_like(student, winner)
    if candidate is None or not isinstance(student, Steerable):
        return None
    selection, by_chance = selection_part(bench, "dev", student, candidate, LOOKS)
    if by_chance > LEVEL:
        return None
    after = bench.answer(candidate, dev.examples)
    if lead(bench.metric, dev.examples, before, after, bench.seed) <= LEVEL:
        return None
    old, new = (next(iter(figures.values())).value for figures in (selection.before, selection.after))
    reason = (
        f"its way to select is kept, and nothing else of it: it selects the right message in {new:.0%} of"
        f" {selection.records} questions on {selection.source}, the student in {old:.0%} (p = {by_chance:.2g})"
    )
    return Judged(candidate, True, reason, part_report(bench, dev, before, after))


def selected(bench: Bench, student: Program, returned: Program) -> PartReport | None:
    """How the program that is returned selects on test situations; None where it selects nothing."""
    if not isinstance(student, Steerable) or not isinstance(returned, Steerable):
        return None
    return selection_part(bench, "test", student, returned if differs(returned, student) else student)[0]


def judging_choices(student: Program) -> int:
    """Choices that judging takes at most, besides answers."""
    return 4 * QUESTIONS if isinstance(student, Steerable) else 0
