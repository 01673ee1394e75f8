"""The six tasks by the four methods, with the embedded LM and the default pool, on published benchmark files.

    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/six_tasks.py --output results   # 150 records a task; an hour
    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/six_tasks.py --output results   # again: it goes on
    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/six_tasks.py --quick            # two records a task

The records are drawn by the seed from the test half of each file, parted by situation, so that a version that was
compiled on the other half can be put beside these figures. Overton is shown with the synthesis of the paper (`joint`)
and with `extractive` beside it. The judge of overton-judge is the base LLM itself, whose bias towards a position the
report tells. Prints a table per task with intervals, writes all reports, and judges nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from engine import set_threads

if TYPE_CHECKING:
    from rich.console import Console

    from modplural.data.splits import Split
    from modplural.optimizers.evaluation import Evaluation, Plan, Progress
    from modplural.programs.building import BuiltPool
    from modplural.programs.program import Program

FOLDER = "MODPLURAL_BENCHMARKS"
FILES = {
    "overton-vk": "overton_valuekaleidoscope.json",
    "overton-judge": "overton_valuekaleidoscope.json",
    "steerable-vk": "steerable_valuekaleidoscope.json",
    "steerable-opinionqa": "steerable_opinionqa.json",
    "distributional-moralchoice": "distributional_moralchoice.json",
    "distributional-globalopinionqa": "distributional_globalopinionqa.json",
}
RECORDS, QUICK = 150, 2
EXTRACTIVE = "modular, extractive"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether every row was answered."""
    options = _parser().parse_args(arguments)
    folder = Path(os.environ.get(FOLDER, ""))
    missing = sorted({name for name in FILES.values() if not (folder / name).is_file()})
    if FOLDER not in os.environ or missing:
        print(f"{FOLDER} names the folder of the benchmark files; missing: {', '.join(missing)}", file=sys.stderr)
        return os.EX_NOINPUT
    set_threads()  # before anything imports torch
    from figures import quiet_libraries

    with quiet_libraries(), tempfile.TemporaryDirectory() as passing:
        output = Path(passing) if options.output is None else options.output
        return _run(folder, QUICK if options.quick else options.records, options.seed, output)


def _run(folder: Path, count: int, seed: int, output: Path) -> int:
    from rich.console import Console

    from modplural import open_pool
    from modplural.optimizers.evaluation import evaluate
    from modplural.optimizers.evaluation.report_files import write_reports
    from modplural.optimizers.metrics import EmbeddingScorer, PairwiseJudge

    built = open_pool("default")
    plans = [plan(built, drawn(folder / name, task, count, seed)) for task, name in FILES.items()]
    scorer, judge = EmbeddingScorer(), PairwiseJudge(built.base)
    found = evaluate(plans, output, scorer=scorer, judge=judge, seed=seed, on_progress=_told())
    write_reports(found, plans, output / "report", scorer)
    _show(Console(width=100), found)
    return 1 if found.failed else 0


def drawn(path: Path, task: str, count: int, seed: int) -> Split:
    """Draw records from the test half of a file, parted by situation; the digest stays that of the half."""
    from modplural.data import read_records
    from modplural.data.splits import Shares, split_records

    half = split_records(read_records(path, task), seed=seed, shares=Shares(0.3, 0.2, 0.5)).test
    kept = sorted(Random(seed).sample(sorted(half.records), min(count, len(half.records))))
    return replace(half, records={index: half.records[index] for index in kept})


def plan(built: BuiltPool, records: Split) -> Plan:
    """The four methods on a task's records, and for Overton the extractive synthesis."""
    from modplural import Overton
    from modplural.optimizers.evaluation import METHODS, Plan, make_methods

    mode = records.task.mode
    programs: Mapping[str, Program] = make_methods(METHODS, mode, built.base, built.pool)
    further = {EXTRACTIVE: Overton(built.base, built.pool, strategy="extractive")} if mode == "overton" else {}
    return Plan(records, {**programs, **further})


def _told() -> Callable[[Progress], None]:
    """Print a line for every fifty rows: this runs for an hour, mostly into a file."""

    def tell(progress: Progress) -> None:
        if progress.done % 50 == 0 or progress.done == progress.total:
            print(f"{progress.task}: {progress.done} of {progress.total}", flush=True)

    return tell


def _show(console: Console, found: Evaluation) -> None:
    from rich.table import Table

    from modplural.optimizers.evaluation import report_tables

    for table in [*report_tables.figure_tables(found), report_tables.comparison_table(found)]:
        if table is not None:
            shown = Table(*table.columns, title=table.title, title_justify="left")
            for row in table.rows:
                shown.add_row(*row)
            console.print(shown)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("--records", type=int, default=RECORDS, help="how many of each task")
    parser.add_argument("--seed", type=int, default=0, help="parts the files and draws the records")
    parser.add_argument("--output", type=Path, help="keeps answers, so that the same command goes on, and the reports")
    parser.add_argument("--quick", action="store_true", help="two records a task, to see that it runs")
    return parser


if __name__ == "__main__":
    sys.exit(main())
