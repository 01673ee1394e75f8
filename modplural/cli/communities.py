"""`modplural communities`: who is in a pool; and the commands that check, train, edit and measure them put together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from .community_check import check, read_pool
from .community_editing import add, copy, remove
from .community_effect import effect
from .community_training import train
from .options import PoolOption
from .session import session

if TYPE_CHECKING:
    from ..programs.config import LMConfig

communities = typer.Typer(
    help="Show the communities of a pool, try them, train, add and remove them, measure what they bring.",
    no_args_is_help=True,
)


@communities.command("list")
def list_communities(pool: PoolOption = None) -> None:
    """List the communities of a pool."""
    with session() as terminal:
        from . import show

        config = read_pool(pool)
        rows = [
            [member.name, f"{member.weight:g}", _named(config.community_lm(member)), member.description]
            for member in config.communities
        ]
        terminal.out.print(show.listing(["community", "weight", "LM", "description"], rows))
        terminal.out.print(f"\nThe base LLM is {_named(config.base)}.", markup=False)


def _named(lm: LMConfig) -> str:
    return lm.model + (f" + {lm.adapter}" if lm.adapter else "")


for command in (check, train, add, remove, copy, effect):
    communities.command()(command)
