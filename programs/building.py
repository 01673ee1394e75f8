"""Makes a pool's LMs and communities from its configuration.

This file knows configurations; it must not know where one was written, nor what a mode makes of the pool.
"""

from functools import cache
from typing import NamedTuple

import dspy

from .community import CommunityLM
from .config import CommunityConfig, PoolConfig
from .lms import build_lm
from .pool import CommunityPool


class BuiltPool(NamedTuple):
    """What every mode is made of: a base LLM and the communities that complement it."""

    base: dspy.LM
    pool: CommunityPool


def build_pool(config: PoolConfig) -> BuiltPool:
    """Make the base LLM and the pool; those who are configured alike share one LM.

    Raises:
        LookupError: An environment variable for a key is unset or empty.
        ValueError: A `local/` model or an adapter cannot be found or used.
    """
    build = cache(build_lm)
    pool = CommunityPool()
    for community in config.communities:
        pool.add(build_community(community, build(config.community_lm(community))), community.weight)
    return BuiltPool(build(config.base), pool)


def build_community(config: CommunityConfig, lm: dspy.LM) -> CommunityLM:
    """Make a community that `lm` speaks for."""
    return CommunityLM(
        config.name,
        lm,
        description=config.description,
        persona=config.persona,
        examples=[dspy.Example(query=example.query, message=example.message) for example in config.examples],
    )
