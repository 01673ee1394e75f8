"""The public names of ModPlural, each loaded from its floor when first used, so that `import modplural` costs nothing.

This file knows where names live and nothing about what they do.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .loading import load
    from .optimizers.compilation.compile import compile
    from .optimizers.training.train import train_community
    from .poolfile import load_pool, open_pool
    from .programs.adapters import PlainAdapter
    from .programs.baselines import MixtureOfExperts, Prompted, Vanilla
    from .programs.choice import MeasuredChoice
    from .programs.community import CommunityLM
    from .programs.config import PoolConfig
    from .programs.distributional import Distributional
    from .programs.engines.fake import FakeEngine, fake_lm
    from .programs.engines.local import LocalEngine, local_lm
    from .programs.messages import Message
    from .programs.overton import Overton
    from .programs.pool import CommunityPool, FailurePolicy
    from .programs.steerable import Steerable

__all__ = [
    "CommunityLM",
    "CommunityPool",
    "Distributional",
    "FailurePolicy",
    "FakeEngine",
    "LocalEngine",
    "MeasuredChoice",
    "Message",
    "MixtureOfExperts",
    "Overton",
    "PlainAdapter",
    "PoolConfig",
    "Prompted",
    "Steerable",
    "Vanilla",
    "compile",
    "fake_lm",
    "load",
    "load_pool",
    "local_lm",
    "open_pool",
    "train_community",
]

_MODULES = {
    "CommunityLM": ".programs.community",
    "CommunityPool": ".programs.pool",
    "Distributional": ".programs.distributional",
    "FailurePolicy": ".programs.pool",
    "FakeEngine": ".programs.engines.fake",
    "LocalEngine": ".programs.engines.local",
    "MeasuredChoice": ".programs.choice",
    "Message": ".programs.messages",
    "MixtureOfExperts": ".programs.baselines",
    "Overton": ".programs.overton",
    "PlainAdapter": ".programs.adapters",
    "PoolConfig": ".programs.config",
    "Prompted": ".programs.baselines",
    "Steerable": ".programs.steerable",
    "Vanilla": ".programs.baselines",
    "compile": ".optimizers.compilation.compile",
    "fake_lm": ".programs.engines.fake",
    "load": ".loading",
    "load_pool": ".poolfile",
    "local_lm": ".programs.engines.local",
    "open_pool": ".poolfile",
    "train_community": ".optimizers.training.train",
}

if not TYPE_CHECKING:  # a type checker that saw `__getattr__` would take every misspelt name for a real one

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}; its names are {', '.join(__all__)}")
        value = globals()[name] = getattr(import_module(_MODULES[name], __name__), name)
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
