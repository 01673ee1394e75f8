"""Whether adapter and model of a new community are there, and belong together, before a pool file names them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .session import WrongUsageError, checking

if TYPE_CHECKING:
    from ..programs.config import CommunityConfig, LMConfig

_SHOWN = 8


def check_path(option: str, name: str) -> None:
    """See that a path is there, if the name is one; what could be a hub id is left to be looked for there.

    Args:
        option: Where the name was given, for the message.
        name: Of a model or adapter.

    Raises:
        WrongUsageError: It is a path, and no folder is there.
    """
    from ..programs.engines.hub import is_hub_id, meant_as_path

    folder = Path(name).expanduser().absolute()
    if folder.is_dir() or not meant_as_path(name):
        return
    beside = folder.parent
    if beside.is_dir():
        names = sorted(path.name for path in beside.iterdir() if path.is_dir())
        there = f"{beside} has {', '.join(names[:_SHOWN]) or 'no folder'}{', …' if len(names) > _SHOWN else ''}"
    else:
        there = f"nor is there {beside}"
    hub = f". Where the hub's {name} is meant, run this in another folder" if is_hub_id(name) else ""
    raise WrongUsageError(f"{option}: {name!r} is a path, and there is no folder {folder}; {there}{hub}")


def check_lm(community: CommunityConfig, lm: LMConfig) -> str | None:
    """See that what speaks for a community can be had, and that its adapter is plain and was trained on its model.

    Args:
        community: As the pool file will have it.
        lm: What speaks for it there.

    Returns:
        A remark where that cannot be told for certain: the adapter may suit the model, and names another one.

    Raises:
        WrongUsageError: The adapter, or the model that is named for it, is nowhere, the adapter cannot be run beside
            others, or they do not belong together.
    """
    from ..programs.config_fields import LOCAL

    model = lm.model.removeprefix(LOCAL)
    if community.model and lm.model.startswith(LOCAL):
        _check_model(model)
    if community.adapter is None or lm.adapter is None:
        return None
    from ..programs.engines.adapter_base import belongs, check_plain, fits, named_base
    from ..programs.engines.base_names import same_base

    with checking():
        named = named_base(lm.adapter)
        check_plain(lm.adapter)
        # A model that is named beside the adapter is what somebody says that its base is, by whatever name.
        compared = None if community.model else named
        if not belongs(lm.adapter, model, named=compared):
            misfit = fits(lm.adapter, model) is False
            raise WrongUsageError(_other_base(community, lm.model, named, misfit=misfit))
    return None if compared is None or same_base(compared, model) else _doubt(community, lm.model, compared)


def _check_model(name: str) -> None:
    from ..programs.engines.models import resolve_model

    check_path("--model", name)
    with checking():
        resolve_model(name)


def _other_base(community: CommunityConfig, model: str, named: str | None, *, misfit: bool) -> str:
    trained, option = f"{community.adapter!r} was trained on {named or 'another model'}", _model_option(named)
    if community.model:
        return f"--model: the adapter {trained}, and its matrices do not fit {model}; give {option}"
    shared = f"--adapter: {trained}, and the communities of this pool share {model}"
    if misfit:
        return f"{shared}, which its matrices do not fit; give {option} too"
    return (
        f"{shared}, on which it would say nothing of use;"
        f" give {option} too, or where both are the same model, --model {model}"
    )


def _doubt(community: CommunityConfig, model: str, named: str) -> str:
    return (
        f"{community.adapter!r} was trained on {named}, and the communities of this pool share {model}."
        " If these are different models, it would say little of use"
    )


def _model_option(base: str | None) -> str:
    """The option that names a base, as far as it can be had here by that name."""
    from ..programs.config_fields import LOCAL
    from ..programs.engines.base_names import is_public, is_quantized
    from ..programs.engines.embedded import EMBEDDED

    embedded = next((name for name, model in EMBEDDED.items() if model.hub_id == base), base)
    if embedded is None or is_quantized(embedded) or not (is_public(embedded) or Path(embedded).is_dir()):
        return f"--model {LOCAL}<its base>"
    return f"--model {LOCAL}{embedded}"
