"""The last look: the program before and after, with baselines beside it, on records that no search saw.

It happens once, when everything is decided. A sample of the rows may be traced. This file knows parts and programs; it
must not know how anything was found or decided.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import dspy

from ...programs.program import Program
from ..answering import group_digest
from ..traces import RowTraces
from ..tracking import TrackedRun
from .bench import Around, Bench, Row
from .beside import beside, figures_of
from .parts import Part
from .report import PartReport, RowReport
from .verdict import compared


class Tracing(NamedTuple):
    """Where rows are traced, and which share of them."""

    run: TrackedRun
    share: float


def last_look(
    bench: Bench, part: Part, student: Program, returned: Program | None, tracing: Tracing | None
) -> PartReport:
    """Answer the records of a part by the student, by what is returned in its place, and by baselines.

    Args:
        bench: Where they are answered and scored.
        part: The records.
        student: The program before.
        returned: The program after; None where it is the student.
        tracing: None where nothing is traced.
    """
    before = bench.answer(student, part.examples, _traced(tracing, "before", student, part, bench.seed))
    after = before
    if returned is not None:
        after = bench.answer(returned, part.examples, _traced(tracing, "after", returned, part, bench.seed))
    digests = zip(part.records, bench.metric.groups(part.examples), before, after, strict=True)
    rows = (RowReport(record, group_digest(group), old.counted, new.counted) for record, group, old, new in digests)
    found = part_report(bench, part, before, after)
    return replace(found, rows=tuple(rows), beside=tuple(beside(bench, part, student, after, bench.seed)))


def part_report(bench: Bench, part: Part, before: Sequence[Row], after: Sequence[Row]) -> PartReport:
    """Figures of one part."""
    return PartReport(
        part.name,
        part.source,
        part.digest,
        len(part.examples),
        figures_of(bench.metric, part, before),
        figures_of(bench.metric, part, after),
        compared(bench.metric, part.examples, after, before, bench.seed),
        failed_before=sum(row.prediction is None for row in before),
        failed_after=sum(row.prediction is None for row in after),
    )


def _traced(tracing: Tracing | None, name: str, program: Program, part: Part, seed: int) -> Around | None:
    if tracing is None or not tracing.share:
        return None
    traces = RowTraces(tracing.run, program, tracing.share, seed, method=f"{name}, {part.name}")
    keys = {id(example): record for example, record in zip(part.examples, part.records, strict=True)}

    @contextmanager
    def around(example: dspy.Example) -> Iterator[None]:
        with traces.row(keys[id(example)]):
            yield

    return around
