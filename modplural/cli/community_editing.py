"""`modplural communities add`, `remove` and `copy`: pool files edited without an editor."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .community_base import check_lm, check_path
from .session import Terminal, WrongUsageError, checking, session

if TYPE_CHECKING:
    from ..programs.config import CommunityConfig, PoolConfig

FileOption = Annotated[str, typer.Option("--pool", metavar="FILE", help="The pool file; presets are not edited.")]


def add(
    name: Annotated[str, typer.Argument(help="What predictions call the community.")],
    pool: FileOption,
    description: Annotated[str, typer.Option(help="Who it is, in a sentence.")],
    adapter: Annotated[
        str | None, typer.Option(metavar="PATH|NAME", help="A LoRA adapter: a folder, one that comes along, a hub id.")
    ] = None,
    model: Annotated[str | None, typer.Option(metavar="ID", help="An LM of its own, such as hosted_vllm/name.")] = None,
    api_base: Annotated[str | None, typer.Option(metavar="URL", help="Address of the model's server.")] = None,
    api_key_env: Annotated[
        str | None, typer.Option(metavar="VAR", help="Name of the environment variable that holds the server's key.")
    ] = None,
    persona: Annotated[str | None, typer.Option(metavar="TEXT", help="Instructions to speak for it.")] = None,
    weight: Annotated[float | None, typer.Option(help="Its share in pooled distributions, 1 if not given.")] = None,
) -> None:
    """Add a community to a pool file."""
    with session() as terminal:
        given: dict[str, Any] = {
            "name": name,
            "description": description,
            "adapter": adapter and located(adapter, pool),
            "model": model and located_model(model, pool),
            "api_base": api_base,
            "api_key_env": api_key_env,
            "persona": persona,
            "weight": weight,
        }
        add_to_pool(terminal, pool, configured(given))


def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The communities that go.")], pool: FileOption
) -> None:
    """Take communities out of a pool file. Their adapters stay where they are."""
    with session() as terminal:
        from ..pool_editing import remove_communities

        with checking():
            left = remove_communities(pool, names)
        _say(terminal, pool, left)


def copy(
    preset: Annotated[str, typer.Argument(help="A pool that comes along, such as default.")],
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The new pool file.")],
) -> None:
    """Start a pool file of your own as a copy of a preset."""
    with session() as terminal:
        from ..pool_editing import copy_preset

        with checking():
            copy_preset(preset, file)
        terminal.out.print(f"{file} is a copy of the preset {preset}.", markup=False, soft_wrap=True)


def configured(given: dict[str, Any]) -> CommunityConfig:
    """A community of what was given on the command line; None is what was not.

    Raises:
        WrongUsageError: It makes no community; the message names the options.
    """
    from pydantic import ValidationError

    from ..programs.config import CommunityConfig

    try:
        return CommunityConfig.model_validate({field: value for field, value in given.items() if value is not None})
    except ValidationError as error:
        raise WrongUsageError("\n".join(f"{_option(e['loc'])}{e['msg']}" for e in error.errors())) from error


def located(adapter: str, pool: str) -> str:
    """An adapter as the pool file has to name it.

    Raises:
        WrongUsageError: It is neither one that comes along, nor a folder with an adapter, nor like a hub id.
    """
    check_path("--adapter", adapter)
    from ..pool_editing import relative_to_pool
    from ..programs.engines.hub import is_hub_id
    from ..programs.engines.models import resolve_adapter

    folder = Path(adapter).expanduser()
    if is_hub_id(adapter) and not folder.is_dir():
        return adapter
    with checking():
        found = resolve_adapter(adapter).path
    return relative_to_pool(adapter, pool) if found == folder.resolve() else adapter


def add_to_pool(terminal: Terminal, pool: str, community: CommunityConfig) -> None:
    """Add a community to a pool file, and say who is in it now.

    Raises:
        WrongUsageError: It does not fit into the pool, or what speaks for it is nowhere; nothing was written.
    """
    from ..pool_editing import add_community, added_lm

    with checking():
        lm = added_lm(pool, community)
    remark = check_lm(community, lm)
    with checking():
        now = add_community(pool, community)
    _say(terminal, pool, now)
    if remark is not None:
        undo = shlex.join(["modplural", "communities", "remove", community.name, "--pool", pool])
        terminal.notes.print(f"{remark}; to undo: {undo}", markup=False, soft_wrap=True, style="dim")


def located_model(model: str, pool: str) -> str:
    """A model as the pool file has to name it; only folders depend on where one is."""
    from ..pool_editing import relative_to_pool
    from ..programs.config_fields import LOCAL

    return LOCAL + relative_to_pool(model.removeprefix(LOCAL), pool) if model.startswith(LOCAL) else model


def _option(location: tuple[int | str, ...]) -> str:
    field = str(location[0]) if location else ""
    return {"": "", "name": "NAME: "}.get(field, f"--{field.replace('_', '-')}: ")


def _say(terminal: Terminal, pool: str, now: PoolConfig) -> None:
    names = ", ".join(community.name for community in now.communities)
    terminal.out.print(f"{pool} has {len(now.communities)} communities now: {names}", markup=False, soft_wrap=True)
