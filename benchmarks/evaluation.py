"""How much of the engine's speed an evaluation reaches: rows per second, beside the same requests with nothing around.

    .venv/bin/python benchmarks/evaluation.py               # some ten minutes on two cores
    .venv/bin/python benchmarks/evaluation.py --quick       # in a minute or two, to see that it runs; nothing is judged

Four methods on three tasks of the sample, by the default pool. What reaches the engine is written down and then asked
of it once more, all at once from threads: no program, no file, nobody who has to wait for a message. Both take turns,
and the median ratio counts. Prints it beside its target, and fails where that is missed. Below it stands the rate by
CPU time, which other work on the machine changes little.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

TASKS = ("overton-vk", "steerable-vk", "distributional-moralchoice")
TARGET = 0.8
ROUNDS = 3
RECORDS = 6
QUICK_RECORDS = 2
AT_ONCE = 128
"""Requests that wait for the engine at the same time when it is alone: twice what it decodes together."""

Asked = list[tuple[Callable[[Any], Any], Any]]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether the target was met."""
    options = _parser().parse_args(arguments)
    from engine import set_threads

    set_threads()  # before anything imports torch
    import dspy
    from figures import quiet_libraries

    dspy.configure_cache(enable_disk_cache=False, enable_memory_cache=False)
    with quiet_libraries():
        return _measure(options)


def _measure(options: argparse.Namespace) -> int:
    from figures import comparison
    from rich.console import Console

    from modplural import open_pool

    built = open_pool("default")
    asked: Asked = []
    for engine in {lm.engine for lm in [built.base, *(community.lm for community in built.pool)]}:
        _record(engine, asked)
    plans = _plans(built, QUICK_RECORDS if options.quick else options.records)
    rows = sum(len(plan.records.records) * len(plan.programs) for plan in plans)
    _evaluate(_plans(built, 1), options.workers)  # loads the model and the adapters
    with_all, alone, cpu = [], [], []
    for _ in range(1 if options.quick else ROUNDS):
        asked.clear()
        started = time.process_time()
        with_all.append(rows / _evaluate(plans, options.workers))
        between = time.process_time()
        alone.append(rows / _alone(asked))
        cpu.append((rows / (between - started), rows / (time.process_time() - between)))
        print(f"{rows} rows, {len(asked)} requests: {with_all[-1]:.2f} and {alone[-1]:.2f} rows/s", file=sys.stderr)
    found = _figure("rows/s", with_all, alone, TARGET)
    busy = _figure("rows per CPU second", [ours for ours, _ in cpu], [other for _, other in cpu], None)
    title = f"{rows} rows of {len(plans)} tasks, {options.workers} under way"
    Console(width=100).print(comparison(title, "engine alone", "evaluation", [found, busy]))
    return os.EX_OK if found.met or options.quick else os.EX_SOFTWARE


def _figure(name: str, ours: Sequence[float], alone: Sequence[float], target: float | None) -> Any:
    from figures import Figure

    ratio = statistics.median(one / other for one, other in zip(ours, alone, strict=True))
    return Figure(name, statistics.median(alone), statistics.median(ours), ratio, target)


def _record(engine: Any, asked: Asked) -> None:
    """Write down what an engine is asked from now on."""
    complete = engine.complete

    def recorded(request: Any) -> Any:
        asked.append((complete, request))
        return complete(request)

    engine.complete = recorded


def _plans(built: Any, records: int) -> list[Any]:
    from modplural.data import find_task, load_task, split_records
    from modplural.optimizers.evaluation import METHODS, Plan, drawn_records, make_methods

    return [
        Plan(
            drawn_records(split_records(load_task(task)).test, records),
            make_methods(METHODS, find_task(task).mode, built.base, built.pool),
        )
        for task in TASKS
    ]


def _evaluate(plans: Sequence[Any], workers: int) -> float:
    """Seconds until every row is answered; scoring comes after that, and asks no LM."""
    from modplural.optimizers.evaluation.running import run_jobs
    from modplural.optimizers.evaluation.store import Store
    from modplural.optimizers.evaluation.work import jobs_of

    with tempfile.TemporaryDirectory(prefix="modplural-benchmark-") as folder:
        with Store(Path(folder) / "evaluation.sqlite") as store:
            started = time.perf_counter()
            results = run_jobs(jobs_of(plans), store, workers, lambda progress: None)
            seconds = time.perf_counter() - started
    failed = [result.error for result in results.values() if result.error]
    if failed:
        raise RuntimeError(f"{len(failed)} rows failed, such as: {failed[0]}")
    return seconds


def _alone(asked: Asked) -> float:
    """Seconds for the same requests, all at once."""
    with ThreadPoolExecutor(AT_ONCE) as pool:
        started = time.perf_counter()
        for _ in pool.map(lambda one: one[0](one[1]), list(asked)):
            pass
        return time.perf_counter() - started


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="An evaluation beside the engine alone.")
    parser.add_argument("--records", type=int, default=RECORDS, help="of each task")
    parser.add_argument("--workers", type=int, default=32, help="rows under way at the same time")
    parser.add_argument("--quick", action="store_true", help="two records of each task, once; no judgement")
    return parser


if __name__ == "__main__":
    sys.exit(main())
