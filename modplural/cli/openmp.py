"""How long idle OpenMP threads of this process wait for work before they sleep; to be said before torch is imported.

A step of a small LM is some hundred short operations on all cores, and waking a thread for each takes longer than many
of them. But a thread that waits by spinning keeps its core from whoever has work.
"""

import os
import time
from collections.abc import MutableMapping
from pathlib import Path

_SPINS = 2_000
"""Looks for work before a thread sleeps, few enough that a process which begins to compute later is hardly in the way;
libgomp's own default is 300,000."""

_BUSY = 0.25
"""Threads of others that compute, for each core, from which on waiting by spinning is in their way."""

_LOAD = Path("/proc/loadavg")

_LOOKS, _BETWEEN_S = 3, 0.002
"""What is only seen now and then is no computation."""


def set_waiting(environment: MutableMapping[str, str]) -> None:
    """Let idle threads spin for a moment where nobody else computes on this machine, and sleep at once where they do.

    What the user has said stays as it is.
    """
    if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & environment.keys():
        return
    if _others() < _BUSY * (os.cpu_count() or 1):
        environment.update(GOMP_SPINCOUNT=str(_SPINS), KMP_BLOCKTIME="1")
    else:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def _others() -> float:
    """Threads of others that keep running or want to; no end of them on systems that do not say."""
    found = []
    for _ in range(_LOOKS):
        try:
            running = _LOAD.read_text(encoding="ascii").split()[3].partition("/")[0]
            found.append(int(running) - 1)
        except (OSError, ValueError, IndexError):
            return float("inf")
        time.sleep(_BETWEEN_S)
    return min(found)
