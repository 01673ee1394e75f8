"""How a community that was trained gets into a pool file: at once, or by the commands that are shown."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from .community_editing import add_to_pool, configured, located, located_model
from .options import DEFAULT_POOL
from .session import Terminal, WrongUsageError, checking

if TYPE_CHECKING:
    from ..optimizers.training import TrainedCommunity
    from ..programs.config import PoolConfig


class Joining(NamedTuple):
    """The pool file that a trained community is added to, and the LM that its entry has to name there, if any."""

    pool: str
    description: str
    model: str | None


def planned(name: str, base: str, pool: str | None, description: str | None) -> Joining | None:
    """What is to be known before a training whose community is to be added to a pool file.

    Raises:
        WrongUsageError: It could not be added.
    """
    from ..pool_editing import check_addable

    if (pool is None) != (description is None):
        raise WrongUsageError("A pool says who each community is: give --pool and --description together.")
    if pool is None or description is None:
        return None
    with checking():
        shared = check_addable(pool, name)
    model = located_model(_local(base), pool)
    return Joining(pool, description, None if _shared_model(shared) == model else model)


def join(terminal: Terminal, trained: TrainedCommunity, joining: Joining) -> None:
    """Add a community to its pool file, and show how it is asked."""
    given = {
        "name": trained.name,
        "description": joining.description,
        "adapter": located(_folder(trained), joining.pool),
        "model": joining.model,
    }
    add_to_pool(terminal, joining.pool, configured(given))
    _show(terminal, [_asking(joining.pool)])


def show_joining(terminal: Terminal, trained: TrainedCommunity, base: str) -> None:
    """Show what adds a community to a pool file, or asks it where it is in one."""
    from ..pool_editing import check_addable
    from ..poolfile import load_pool

    for pool in _pool_files():
        if not Path(pool).exists():
            copying = ["modplural", "communities", "copy", DEFAULT_POOL, pool]
            return _show(terminal, [copying, _adding(trained, base, pool, load_pool(DEFAULT_POOL))])
        with suppress(ValueError):  # one that is no pool is passed over
            if _is_in(trained, load_pool(pool)):
                return _show(terminal, [_asking(pool)])
            return _show(terminal, [_adding(trained, base, pool, check_addable(pool, trained.name))])


def _pool_files() -> Iterator[str]:
    yield "my-pool.yaml"
    yield from (f"my-pool-{number}.yaml" for number in count(2))


def _is_in(trained: TrainedCommunity, pool: PoolConfig) -> bool:
    folder = trained.folder.resolve()
    return any(one.name == trained.name and Path(one.adapter or "").resolve() == folder for one in pool.communities)


def _adding(trained: TrainedCommunity, base: str, pool: str, shared: PoolConfig) -> list[str]:
    model = _local(base)
    named = [] if _shared_model(shared) == located_model(model, pool) else ["--model", model]
    said = ["--adapter", _folder(trained), *named, "--description", "Who they are."]
    return ["modplural", "communities", "add", trained.name, "--pool", pool, *said]


def _asking(pool: str) -> list[str]:
    return ["modplural", "ask", "May I?", "--mode", "overton", "--pool", pool]


def _shared_model(pool: PoolConfig) -> str:
    return (pool.community_base or pool.base).model


def _local(base: str) -> str:
    from ..programs.config_fields import LOCAL

    return LOCAL + base.removeprefix(LOCAL)


def _folder(trained: TrainedCommunity) -> str:
    """The adapter's folder, so that nobody takes it for the name of one that comes along."""
    return str(trained.folder) if trained.folder.is_absolute() else f"./{trained.folder}"


def _show(terminal: Terminal, commands: list[list[str]]) -> None:
    from rich.text import Text

    terminal.out.print(Text(f"\nNext: {' && '.join(map(shlex.join, commands))}"), soft_wrap=True)
