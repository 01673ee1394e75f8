"""What tracking costs an evaluation: its time with a run in MLflow and a share of its rows traced, beside without.

    .venv/bin/python benchmarks/tracking.py             # some ten minutes on two cores
    .venv/bin/python benchmarks/tracking.py --quick     # a minute or two, to see that it runs; nothing is judged

Methods on three tasks of the sample, as `modplural evaluate --track --traces 0.1` has them, into a store that is new,
with figures and all rows logged. Once with the embedded LM, and once with an LM that takes a second for each answer,
as hosted ones do, and no processor: so that nothing hides what tracking does. Tracked rounds and others take turns,
and the median ratio counts. Prints it beside its target, by wall time and by CPU time, which other work on the machine
changes little; fails where wall time is over the target.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

TASKS = ("overton-vk", "steerable-vk", "distributional-moralchoice")
SHARE = 0.1
TARGET = 1.05
ROUNDS = 3
RECORDS = {"embedded": 2, "waiting": 20}
"""Of each task; with four methods, rows are twelve times as many."""
SECOND = 1.0
WORKERS = 32


class Spent(NamedTuple):
    """Seconds by the clock and of the processor."""

    wall: float
    cpu: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether the target was met."""
    options = _parser().parse_args(arguments)
    from engine import set_threads

    set_threads()  # before anything imports torch
    import dspy
    from figures import quiet_libraries

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="modplural-benchmark-") as folder, _store(Path(folder)):
        return _measure(options, Path(folder))


def _measure(options: argparse.Namespace, folder: Path) -> int:
    from figures import comparison
    from rich.console import Console

    met = True
    for name in options.lm or RECORDS:
        base, pool = _waiting(0.01 if options.quick else SECOND) if name == "waiting" else _embedded()
        plans = _plans(base, pool, 1 if options.quick else RECORDS[name])
        rows = sum(len(plan.records.records) * len(plan.programs) for plan in plans)
        _evaluate(_plans(base, pool, 1), folder / f"{name}-first", tracked=True)  # loads the LM, and makes the store
        pairs = []
        for turn in range(1 if options.quick else ROUNDS):
            without, within = (
                _evaluate(plans, folder / f"{name}-{turn}-{tracked}", tracked=tracked) for tracked in (False, True)
            )
            print(f"{name}: {without.wall:.2f} s, tracked {within.wall:.2f} s", file=sys.stderr)
            pairs.append((without, within))
        found = [_figure("seconds", [(one.wall, other.wall) for one, other in pairs], TARGET)]
        found.append(_figure("seconds of the processor", [(one.cpu, other.cpu) for one, other in pairs], None))
        title = f"{rows} rows, {name} LM, {SHARE:.0%} of the rows traced"
        Console(width=100).print(comparison(title, "untracked", "tracked", found))
        met = met and all(one.met for one in found)
    return os.EX_OK if met or options.quick else os.EX_SOFTWARE


def _figure(name: str, pairs: Sequence[tuple[float, float]], target: float | None) -> Any:
    from figures import Figure

    ratio = statistics.median(within / without for without, within in pairs)
    without, within = (statistics.median(side) for side in zip(*pairs, strict=True))
    return Figure(name, without, within, ratio, target, at_most=True)


def _evaluate(plans: Sequence[Any], folder: Path, *, tracked: bool) -> Spent:
    """Evaluate once; what it took."""
    from modplural.optimizers.evaluation import JobTraces, evaluate
    from modplural.optimizers.evaluation.report_tracking import evaluation_run, log_evaluation

    started, worked = time.perf_counter(), time.process_time()
    if not tracked:
        found = evaluate(plans, folder, workers=WORKERS, scorer=_scorer())
    else:
        with evaluation_run([plan.task for plan in plans], folder) as run:
            traces = JobTraces(run, SHARE)
            found = evaluate(plans, folder, workers=WORKERS, scorer=_scorer(), watch=traces.row)
            traces.flush()
            log_evaluation(found, run=run)
    if found.failed:
        raise RuntimeError(f"{len(found.failed)} rows failed, such as: {found.failed[0].error}")
    return Spent(time.perf_counter() - started, time.process_time() - worked)


def _scorer() -> Any:
    """A scorer that costs nothing: scoring is no part of what is measured."""
    import numpy as np

    class Nothing:
        name = "nothing"

        def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Any:
            return np.zeros((len(premises), len(hypotheses)))

    return Nothing()


def _plans(base: Any, pool: Any, records: int) -> list[Any]:
    from modplural.data import find_task, load_task
    from modplural.optimizers.evaluation import METHODS, Plan, drawn_records, make_methods

    return [
        Plan(drawn_records(load_task(task), records), make_methods(METHODS, find_task(task).mode, base, pool))
        for task in TASKS
    ]


def _embedded() -> Any:
    from modplural import open_pool

    return open_pool("default")


def _waiting(seconds: float) -> tuple[Any, Any]:
    """A base and six communities whose LM waits, and then says two sentences."""
    from modplural import CommunityLM, CommunityPool, fake_lm

    text = "Many would say that it depends on who is hurt. Others hold that a promise is a promise."
    lms = [fake_lm({"": text}, lambda prompt, text: -1.0, name=f"{n}", delays={"": seconds}) for n in range(7)]
    return lms[0], CommunityPool(CommunityLM(f"community-{n}", lm) for n, lm in enumerate(lms[1:]))


@contextmanager
def _store(folder: Path) -> Iterator[None]:
    """Track into a store of this benchmark's own."""
    own = {"MLFLOW_TRACKING_URI": f"sqlite:///{folder / 'mlflow.db'}", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with patch.dict(os.environ, own):
        yield


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="What tracking costs an evaluation.")
    parser.add_argument("--lm", action="append", choices=list(RECORDS), help="this one only")
    parser.add_argument("--quick", action="store_true", help="one record of each task, once; no judgement")
    return parser


if __name__ == "__main__":
    sys.exit(main())
