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
from .bench import Around, Asked, Bench, Chain, Row
from .beside import as_long, baselines_of, beside, figures_of
from .parts import Part
from .report import PartReport, RowReport
from .verdict import compared


class Tracing(NamedTuple):
    """Where rows are traced, and which share of them."""

    run: TrackedRun
    share: float


def last_look(
    bench: Bench, parts: Sequence[Part], student: Program, returned: Program | None, tracing: Tracing | None
) -> list[PartReport]:
    """Answer the records of some parts by the student, by what is returned in its place, and by baselines.

    All of them at the same time; only a baseline as long as the program's responses waits for these.

    Args:
        bench: Where they are answered and scored.
        parts: The records.
        student: The program before.
        returned: The program after; None where it is the student.
        tracing: None where nothing is traced.
    """
    looks = [_Look(bench, part, student, returned, tracing) for part in parts]
    modes, baselines = [look.modes for look in looks], [chain for look in looks for chain in look.baselines]

    def then(chain: Chain) -> list[Chain]:
        return [further for look in looks if look.modes is chain for further in look.ask_as_long()]

    bench.answer_all(modes + baselines, then)
    return [look.report(bench) for look in looks]


class _Look:
    """Who is asked the records of one part."""

    def __init__(
        self, bench: Bench, part: Part, student: Program, returned: Program | None, tracing: Tracing | None
    ) -> None:
        programs = {"before": student, **({} if returned is None else {"after": returned})}
        self.part = part
        self._base = student.base
        self._long: Asked | None = None
        self.modes = [
            Asked(program, part.examples, _traced(tracing, name, program, part, bench.seed))
            for name, program in programs.items()
        ]
        self._baselines = {name: Asked(program, part.examples) for name, program in baselines_of(student).items()}

    @property
    def baselines(self) -> list[Chain]:
        return [[asked] for asked in self._baselines.values()]

    @property
    def before(self) -> list[Row]:
        return self.modes[0].answers()

    @property
    def after(self) -> list[Row]:
        return self.modes[-1].answers()

    def ask_as_long(self) -> list[Chain]:
        """The baseline that can be asked when the modes have answered."""
        self._long = as_long(self._base, self.part, self.after)
        return [] if self._long is None else [[self._long]]

    def report(self, bench: Bench) -> PartReport:
        part, metric = self.part, bench.metric
        digests = zip(part.records, metric.groups(part.examples), self.before, self.after, strict=True)
        rows = (RowReport(record, group_digest(group), old.counted, new.counted) for record, group, old, new in digests)
        found = part_report(bench, part, self.before, self.after)
        others = beside(metric, part, self.after, self._baselines, self._long, bench.seed)
        return replace(found, rows=tuple(rows), beside=tuple(others))


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
