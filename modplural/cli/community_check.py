"""`modplural communities check`: whether everybody in a pool answers."""

from __future__ import annotations

from collections.abc import Callable, Set
from concurrent.futures import Future, wait
from functools import partial
from textwrap import shorten
from threading import Thread
from typing import TYPE_CHECKING, Annotated, NamedTuple, TypeAlias

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
_TIMEOUT = 60


def check(
    pool: PoolOption = None,
    timeout: Annotated[
        int, typer.Option(metavar="SECONDS", min=1, max=86_400, help="Seconds that everybody has for an answer.")
    ] = _TIMEOUT,
) -> None:
    """Say what weights a pool needs, and ask everybody one question; exit code 1 if somebody does not answer."""
    with session() as terminal:
        from . import show

        config = read_pool(pool)
        with terminal.notes.status("Looking for weights"):
            missing = interruptible(lambda: show_weights(terminal, config))
        with terminal.notes.status("Asking everybody one question"):
            trials = interruptible(lambda: _try_all(config, missing, timeout))
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


def _try_all(config: PoolConfig, missing: Set[str | None], timeout: int) -> list[_Trial]:
    asked: list[tuple[str, LMConfig, Ask]] = [("base", config.base, _ask_base)]
    for member in config.communities:
        asked.append((member.name, config.community_lm(member), partial(_ask_member, member)))
    trials = [_started(partial(_try, missing, *one)) for one in asked]
    wait(trials, timeout)
    late = f"no answer within {timeout} s; --timeout gives more"
    return [
        trial.result() if trial.done() else _Trial(name, False, late)
        for trial, (name, *_) in zip(trials, asked, strict=True)
    ]


def _started(work: Callable[[], _Trial]) -> Future[_Trial]:
    """Work in a thread that the process does not wait for when it ends; a pool's threads would keep it."""
    future: Future[_Trial] = Future()

    def fulfil() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    Thread(target=fulfil, name="modplural-check", daemon=True).start()
    return future


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
