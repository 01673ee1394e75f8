"""The report of a compilation as Markdown. This file knows the report's object and nothing else."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import PurePath

from ..metrics import Comparison, Figure
from .parts import UNSEEN
from .report import SELECTION, WORDS, Beside, CompileReport, PartReport
from .trials import Trial

BESIDE_COLUMNS = ("baseline", "its figure", "words", "program", "words", "program minus baseline")

_TRIALS = 40
"""Most trials that are listed; all are in the JSON."""


def markdown(report: CompileReport) -> str:
    """Write the report down."""
    return "\n".join(_lines(report)) + "\n"


def part_rows(part: PartReport) -> list[list[str]]:
    """Figures of one part: name, before, after; the comparison belongs to the first."""
    names = [name for name in part.before if name in part.after]
    return [[name, interval(part.before[name]), interval(part.after[name])] for name in names]


def interval(figure: Figure) -> str:
    """A figure with its interval."""
    return f"{figure.value:.3f} [{figure.low:.3f}, {figure.high:.3f}]"


def failures(part: PartReport) -> str:
    """How many records were failed on; empty where none was."""
    if not part.failed_before and not part.failed_after:
        return ""
    return (
        f"Of {part.records} records the program before failed on {part.failed_before}, the one after on"
        f" {part.failed_after}; they are left out."
    )


def compared(comparison: Comparison) -> str:
    """A paired difference with its interval."""
    known = f"better in {comparison.favours_first:.0%} of the resamples, p = {comparison.p_value:.3f}"
    return (
        f"{comparison.difference:+.3f} [{comparison.low:+.3f}, {comparison.high:+.3f}],"
        f" {'too few for a p-value' if math.isnan(comparison.p_value) else known}, n = {comparison.n} in"
        f" {comparison.groups} situations"
    )


def beside_rows(part: PartReport, primary: str) -> list[list[str]]:
    """Baselines beside the program: name, figure and words of each, and the program minus the baseline."""
    return [_beside_row(one, primary) for one in part.beside]


def _beside_row(one: Beside, primary: str) -> list[str]:
    if not one.comparison.n:
        return [one.name, one.problem or "nothing to compare", "", "", "", ""]
    baseline, program, found = one.baseline[primary], one.program[primary], one.comparison
    gained = f"{found.difference:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
    share = f", {found.difference / abs(baseline.value):+.0%}" if baseline.value else ""
    words = [f"{figures[WORDS].value:.0f}" if WORDS in figures else "" for figures in (one.baseline, one.program)]
    return [one.name, interval(baseline), words[0], f"{program.value:.3f}", words[1], gained + share]


def _lines(report: CompileReport) -> Iterator[str]:
    better = "higher" if report.higher_is_better else "lower"
    scored = f", scored by {report.scorer}" if report.scorer else ""
    yield f"# {report.program} on {report.task}, compiled by {report.strategy}"
    yield from ["", f"**{'The winner is kept' if report.kept else 'The student is returned'}**: {report.reason}"]
    yield from ["", f"The figure that decides is {report.primary} ({better} is better{scored})."]
    yield from _part("Dev: the winner of the search against the student", report.dev)
    for part in report.scored_last:
        heading = "Test" if part.name != UNSEEN else f"Unseen, {PurePath(part.source).name}"
        yield from _part(f"{heading}: what is returned against the student, scored once", part)
        yield from _beside(part, report.primary)
    if report.selection is not None:
        yield from _part("Selection: how often the message that is known to be right is selected", report.selection)
    yield from ["", "## What was learned", ""]
    yield from ["```diff", *report.diff.splitlines(), "```"] if report.diff else ["Nothing."]
    yield from _trials(report)
    yield from ["", "## Spent", "", f"Expected: {report.estimate}.", ""]
    columns = ["LM", "calls", "input tokens", "output tokens", "US dollars"]
    yield from _table(
        columns, ([model, *map(str, used), _price(report, model)] for model, used in report.tokens.items())
    )
    load = ", ".join(f"{value:.1f}" for value in report.load)
    yield from ["", f"{report.seconds:.0f} s, load of the machine {load}.", "", "## Settings", ""]
    yield from (f"- {name}: {value}" for name, value in report.settings.items())


def _part(title: str, part: PartReport) -> Iterator[str]:
    asked = "questions" if part.name == SELECTION else "records"
    yield from ["", f"## {title}", "", f"{part.records} {asked} of {part.source}, digest `{part.digest[:16]}`.", ""]
    yield from _table(["figure", "before", "after"], part_rows(part))
    if part.comparison.n:
        yield from ["", f"After minus before: {compared(part.comparison)}."]
    if failures(part):
        yield from ["", failures(part)]


def _beside(part: PartReport, primary: str) -> Iterator[str]:
    yield from ["", f"Beside it, by {primary}; words are the mean length of responses:", ""]
    yield from _table(BESIDE_COLUMNS, beside_rows(part, primary))


def _trials(report: CompileReport) -> Iterator[str]:
    stopped = " The budget ended the search." if report.stopped else ""
    shown = report.trials[:_TRIALS]
    rest = f" The first {len(shown)} are shown." if len(shown) < len(report.trials) else ""
    yield from ["", "## Trials", "", f"{len(report.trials)} trials; scores from 0 to 1.{stopped}{rest}", ""]
    columns = ["strategy", "candidate", "score", "n", "failed", "LM calls", "s"]
    yield from _table(columns, map(_trial_row, shown))


def _trial_row(one: Trial) -> list[str]:
    numbers = [str(number) for number in (one.n, one.failed, one.calls)]
    return [one.stage, one.what, f"{one.score:.4f}", *numbers, f"{one.seconds:.1f}"]


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(columns)} |"
    yield f"|{'---|' * len(columns)}"
    for row in rows:
        yield f"| {' | '.join(' '.join(cell.split()).replace('|', chr(92) + '|') for cell in row)} |"


def _price(report: CompileReport, model: str) -> str:
    return f"{report.costs[model]:.2f}" if model in report.costs else ""
