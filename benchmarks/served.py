"""How fast the in-process engine generates, beside a vLLM server on the same machine with the same weights and dtype.

    .venv/bin/python benchmarks/served.py                  # starts the server itself; some five minutes
    .venv/bin/python benchmarks/served.py --dtype float32  # both in float32
    .venv/bin/python benchmarks/served.py --quick          # a few questions, no judgement

64 questions at once, spread over the six adapters that come along, from the same threads by `dspy.LM`s. Both take
turns, one idle while the other answers, and every round has new questions, so that neither can remember a prompt.
Prints the median round beside its target, and fails where that is missed.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine import set_threads

if TYPE_CHECKING:
    from workload import Answer, Task

ROOT = Path(__file__).parents[1]
TARGET = 1.0
AT_ONCE, TOKENS, ROUNDS = 64, 48, 3
QUICK_AT_ONCE, QUICK_TOKENS = 6, 4

Way = Callable[[Sequence["Task"], int], "list[Answer]"]


class Round(NamedTuple):
    """What both answered in one round, and in how many seconds."""

    served: list[Answer]
    served_s: float
    ours: list[Answer]
    ours_s: float

    @property
    def speeds(self) -> tuple[float, float]:
        """Tokens per second, the server's first."""
        return _tokens(self.served) / self.served_s, _tokens(self.ours) / self.ours_s


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether the target was met."""
    options = _parser().parse_args(arguments)
    set_threads()  # before anything imports torch, here and in the server
    address = os.environ.get("MODPLURAL_VLLM")
    return _with_server(options) if address is None else _measure(options, address)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="The in-process engine beside a vLLM server.")
    parser.add_argument("--dtype", choices=("bfloat16", "float32"), help="bfloat16 where it is fast by default")
    parser.add_argument("--quick", action="store_true", help="a few questions, no judgement")
    return parser


def _with_server(options: argparse.Namespace) -> int:
    """Run this script beside a server of its own."""
    # vLLM would leave one core to others, which is half of a machine of two; the engine leaves none.
    os.environ.setdefault("VLLM_CPU_NUM_OF_RESERVED_CPU", "0")
    dtype = ["--dtype", options.dtype] if options.dtype else []
    again = [sys.executable, __file__, *dtype, *(["--quick"] if options.quick else [])]
    serve = [sys.executable, str(ROOT / "examples" / "serve_vllm.py"), "--port", "0", *dtype, "--", *again]
    return subprocess.call(serve)


def _measure(options: argparse.Namespace, address: str) -> int:
    # Heavy imports only now: torch reads what was set above when it is imported.
    import dspy
    from engine_way import EngineWay, generate
    from figures import Figure, comparison, quiet_libraries
    from rich.console import Console
    from workload import ADAPTERS

    ours = EngineWay(
        "smollm2-135m-instruct", {name: ROOT / "data" / "adapters" / name for name in ADAPTERS}, options.dtype
    )
    lms = {name: dspy.LM(f"hosted_vllm/{name}", api_base=address, cache=False) for name in ADAPTERS}
    try:
        with quiet_libraries():
            rounds = _take_turns(
                lambda tasks, tokens: generate(lms, tasks, tokens, _pass),
                lambda tasks, tokens: ours.generate(tasks, tokens, _pass),
                options.quick,
            )
    finally:
        ours.close()
    served, here = zip(*(one.speeds for one in rounds), strict=True)
    ratio = statistics.median(mine / other for other, mine in zip(served, here, strict=True))
    found = Figure("generation, tokens/s", statistics.median(served), statistics.median(here), ratio, TARGET)
    asked, same = _agreement(rounds)
    console = Console(width=min(100, Console().width))
    console.print(comparison("Six adapters, beside a vLLM server", "vLLM", "engine", [found]))
    console.print(f"The median of {len(rounds)} rounds. Both gave the same text in {same} of {asked} answers.")
    return os.EX_OK if found.met or options.quick else os.EX_SOFTWARE


def _take_turns(served: Way, ours: Way, quick: bool) -> list[Round]:
    from workload import ADAPTERS, QUICK, Task, Workload

    warm = [Task(adapter, "Is this right?") for adapter in ADAPTERS]
    for way in (served, ours):  # loads the model and every adapter
        way(warm, 2)
    count, tokens = (QUICK_AT_ONCE, QUICK_TOKENS) if quick else (AT_ONCE, TOKENS)
    tasks = (QUICK if quick else Workload()).tasks
    rounds = []
    for number in range(1 if quick else ROUNDS):
        part = tasks[number * count : (number + 1) * count]
        rounds.append(Round(*_timed(served, part, tokens), *_timed(ours, part, tokens)))
        other, mine = rounds[-1].speeds
        print(f"round {number + 1}: vLLM {other:.0f}, engine {mine:.0f} tokens/s", file=sys.stderr)
    return rounds


def _timed(way: Way, tasks: Sequence[Task], tokens: int) -> tuple[list[Answer], float]:
    start = time.perf_counter()
    answers = way(tasks, tokens)
    return answers, time.perf_counter() - start


def _agreement(rounds: Sequence[Round]) -> tuple[int, int]:
    """How many answers there are, and how many of them both gave alike; the prompts must have been the same."""
    pairs = [pair for one in rounds for pair in zip(one.served, one.ours, strict=True)]
    if any(other.prompt_tokens != mine.prompt_tokens for other, mine in pairs):
        raise RuntimeError("the server made other prompts of the same turns, so that nothing can be compared")
    return len(pairs), sum(other.text == mine.text for other, mine in pairs)


def _tokens(answers: Sequence[Answer]) -> int:
    return sum(answer.tokens for answer in answers)


def _pass() -> None:
    """Nobody watches the progress."""


if __name__ == "__main__":
    sys.exit(main())
