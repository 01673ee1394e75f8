"""`modplural communities check`: whether everybody in a pool answers."""

from __future__ import annotations

from collections.abc import Callable, Set
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from textwrap import shorten
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import typer

from .community_weights import show_weights
from .options import DEFAULT_POOL, PoolOption
from .session import FAILED, checking, described, interruptible, session

if TYPE_CHECKING:
    import dspy

    from ..programs.config import CommunityConfig, LMConfig, PoolConfig

    Ask: TypeAlias = Callable[[dspy.LM], str]

_QUESTION = "Is it right to help a stranger? Answer in one sentence."
_SHOWN = 60


def check(pool: PoolOption = None) -> None:
    """Say what weights a pool needs, and ask everybody one question; exit code 1 if somebody does not answer."""
    with session() as terminal:
        from . import show

        config = read_pool(pool)
        with terminal.notes.status("Looking for weights"):
            missing = interruptible(lambda: show_weights(terminal, config))
        with terminal.notes.status("Asking everybody one question"):
            trials = interruptible(lambda: _try_all(config, missing))
        rows = [[trial.name, "ok" if trial.answered else "failed", trial.said] for trial in trials]
        terminal.out.print(show.listing(["", "", ""], rows))
        if not all(trial.answered for trial in trials):
            raise typer.Exit(FAILED)


def read_pool(pool: str | None) -> PoolConfig:
    """Read the pool that a command names."""
    from ..poolfile import load_pool

    with checking():
        return load_pool(pool or DEFAULT_POOL)


class _Trial(NamedTuple):
    """What somebody said, or why nothing."""

    name: str
    answered: bool
    said: str


def _try_all(config: PoolConfig, missing: Set[str | None]) -> list[_Trial]:
    asked: list[tuple[str, LMConfig, Ask]] = [("base", config.base, _ask_base)]
    for member in config.communities:
        asked.append((member.name, config.community_lm(member), partial(_ask_member, member)))
    with ThreadPoolExecutor(len(asked)) as together:
        return list(together.map(partial(_try, missing), *zip(*asked, strict=True)))


def _ask_base(lm: dspy.LM) -> str:
    from ..programs.baselines import Vanilla

    return str(Vanilla(lm)(_QUESTION).response)


def _ask_member(member: CommunityConfig, lm: dspy.LM) -> str:
    from ..programs.building import build_community

    return str(build_community(member, lm)(_QUESTION).message)


def _try(missing: Set[str | None], name: str, config: LMConfig, ask: Ask) -> _Trial:
    from ..programs.config_fields import LOCAL
    from ..programs.errors import reason
    from ..programs.lms import build_lm

    if not missing.isdisjoint((config.model.removeprefix(LOCAL), config.adapter)):
        return _Trial(name, False, "not asked, because weights are missing")
    try:
        # A reply from the cache, or one at the fourth attempt, would not show that the LM answers.
        lm = build_lm(config).copy(cache=False, num_retries=0)
    except (ValueError, LookupError) as error:
        return _Trial(name, False, described(error))
    try:
        return _Trial(name, True, shorten(ask(lm), _SHOWN, placeholder="…"))
    except Exception as error:
        return _Trial(name, False, reason(error, lm))
