"""Which of the samples of one call a request is for: `n=3` makes three requests that are alike, seed and all.

DSPy asks an engine for one sample at a time and does not say which; so the samples of a call are counted here, from
DSPy's own report that a call begins. This file must not know models or what is sampled.
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from dspy.lm15 import Config
from dspy.utils.callback import BaseCallback


@dataclass
class _Samples:
    """How many samples of a call are done; a failed one is tried again as the same."""

    done: int = 0


_samples: ContextVar[_Samples | None] = ContextVar("modplural_samples", default=None)


class CountSamples(BaseCallback):
    """Begins to count where a call of an LM begins; give it to the LM as a callback."""

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        """Begin at the first sample; DSPy calls this."""
        _samples.set(_Samples())

    def on_lm_end(self, call_id: str, outputs: Any, exception: Exception | None = None) -> None:
        """Forget the call; DSPy calls this."""
        _samples.set(None)


def own_seed(config: Config) -> Config:
    """The settings with the seed of this sample: the first has the one that was given, the others each their own."""
    samples = _samples.get()
    if config.seed is None or samples is None or not samples.done:
        return config
    digest = sha256(f"{config.seed}:{samples.done}".encode()).digest()
    return replace(config, seed=int.from_bytes(digest[:7], "big"))


def sample_done() -> None:
    """Count a sample as done."""
    samples = _samples.get()
    if samples is not None:
        samples.done += 1
