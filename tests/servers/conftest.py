"""What the tests of a real vLLM server share: its address, the preset on it, and the same LMs in this process."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import dspy
import pytest

from modplural.poolfile import load_pool
from modplural.programs.config import PoolConfig
from modplural.programs.engines.local import local_lm

ADAPTERS = Path(__file__).parents[2] / "data" / "adapters"


@pytest.fixture(scope="session")
def address() -> str:
    """The server's base URL."""
    found = os.environ.get("MODPLURAL_VLLM")
    if found is None:
        pytest.skip("needs a vLLM server; `make test-servers` starts one")
    return found


@pytest.fixture(scope="session")
def preset(address: str) -> PoolConfig:
    """The preset `vllm` with all its LMs on this server."""
    config, at = load_pool("vllm"), {"api_base": address}
    communities = tuple(community.model_copy(update=at) for community in config.communities)
    return config.model_copy(update={"base": config.base.model_copy(update=at), "communities": communities})


@pytest.fixture(scope="session")
def served(address: str) -> Callable[[str], dspy.LM]:
    """Makes the LM of a name on the server."""
    return lambda name: dspy.LM(f"hosted_vllm/{name}", api_base=address, cache=False)


@pytest.fixture(scope="session")
def here(smollm2: str) -> Iterator[Callable[[str], dspy.LM]]:
    """Makes the LM of the same name in this process, in the server's dtype; all of them share one model."""
    made: dict[str, dspy.LM] = {}

    def make(name: str) -> dspy.LM:
        if name not in made:
            adapter = None if name == "base" else str(ADAPTERS / name)
            made[name] = local_lm(smollm2, adapter=adapter, dtype="float32", temperature=0.0, cache=False)
        return made[name]

    yield make
    for lm in made.values():
        lm.engine.close()
