"""How long idle OpenMP threads of this process wait for work before they sleep; to be said before torch is imported.

A step of a small LM is some hundred short operations on all cores, and waking a thread for each takes longer than many
of them. But a thread that waits by spinning keeps its core from whoever has work.
"""

import os
from collections.abc import MutableMapping

_SPINS = 20_000
"""About half a millisecond, where a step's operations follow each other in less: libgomp's own default is 300,000."""

_IDLE_LOAD = 0.25
"""Load for each core below which nobody else is taken to compute."""


def set_waiting(environment: MutableMapping[str, str]) -> None:
    """Let idle threads spin for a moment where nobody else computes on this machine, and sleep at once where they do.

    What the user has said stays as it is.
    """
    if {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"} & environment.keys():
        return
    if _load() < _IDLE_LOAD:
        environment.update(GOMP_SPINCOUNT=str(_SPINS), KMP_BLOCKTIME="1")
    else:
        environment["OMP_WAIT_POLICY"] = "PASSIVE"


def _load() -> float:
    """Threads that ran or wanted to, for each core, in the last minute; as on a busy machine where no system tells."""
    try:
        return os.getloadavg()[0] / (os.cpu_count() or 1)
    except (AttributeError, OSError):
        return 1.0
