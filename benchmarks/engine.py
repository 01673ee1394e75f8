"""How fast the in-process engine is and how much memory it takes, beside the plain way of doing the same.

    .venv/bin/python benchmarks/engine.py               # the embedded LM against the plain way; some minutes
    .venv/bin/python benchmarks/engine.py --quick       # the same in seconds, to see that it runs
    .venv/bin/python benchmarks/engine.py --shape 7b    # random weights in the shape of Mistral 7B; needs CUDA

Six adapters, 32 questions to each. Prints each figure beside its target, and fails where one is missed; --quick judges
nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console


def set_threads() -> None:
    """Fix what OpenMP reads when torch is imported, so that a busy machine slows both ways alike.

    Idle OpenMP threads that spin for work take the core from whoever has some, which can cost nine tenths of the speed
    where cores are shared; and a thread for each core of a machine that lends only some of them does the same.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("OMP_NUM_THREADS", str(cores))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether all targets were met."""
    options = _parser().parse_args(arguments)
    set_threads()
    # Heavy imports only now: torch reads the settings above when it is imported.
    from against_plain import compare_with_plain
    from figures import quiet_libraries
    from shapes import measure_shape, mistral_7b, tiny
    from workload import QUICK, Workload

    console = Console(width=min(100, Console().width))
    with quiet_libraries(), tempfile.TemporaryDirectory(prefix="modplural-benchmark-") as folder:
        if options.shape == "7b":
            return measure_shape(mistral_7b(Workload()), Path(folder), console)
        if options.shape == "tiny":
            return measure_shape(tiny(QUICK), Path(folder), console)
        workload = QUICK if options.quick else Workload()
        results = compare_with_plain(options.model, options.dtype, workload, Path(folder), console)
    return os.EX_OK if results.met or options.quick else os.EX_SOFTWARE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The in-process engine beside the plain way.")
    parser.add_argument("--model", default="smollm2-135m-instruct", help="embedded name, folder or hub id")
    parser.add_argument("--dtype", help="such as float32; the engine's own choice by default")
    parser.add_argument("--quick", action="store_true", help="a few questions, no judgement")
    parser.add_argument("--shape", choices=("7b", "tiny"), help="random weights in this shape, absolute figures")
    return parser


if __name__ == "__main__":
    sys.exit(main())
