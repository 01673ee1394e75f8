"""What weights the LMs of a pool need that run in this process: which are missing, and what memory they take."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .session import Terminal

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from ..programs.config import PoolConfig
    from ..programs.engines.footprint import Footprint


def show_weights(terminal: Terminal, config: PoolConfig) -> set[str | None]:
    """Show models and adapters with the memory that they take, and why some are missing; nothing is loaded.

    Returns:
        The names of those that are missing.
    """
    models, adapters = _needed(config)
    if not models:
        return set()
    from ..programs.engines.devices import default_device, fast_dtype
    from ..programs.engines.footprint import adapter_footprint, model_footprint
    from . import show

    with ThreadPoolExecutor(len(models) + len(adapters)) as together:  # each may wait for the hub
        asked = [together.submit(model_footprint, name) for name in models]
        asked += [together.submit(adapter_footprint, name) for name in adapters]
        found = [one.result() for one in asked]
    kind = fast_dtype(default_device())
    rows = [[one.name, _state(one), _memory([one], kind.itemsize)] for one in found]
    dtype = str(kind).removeprefix("torch.")
    rows.append([f"all, in {dtype}", "", _memory(found, kind.itemsize)])
    terminal.out.print(show.listing(["weights", "", "memory"], rows))
    for why in _reasons(one for one in found if one.missing):
        terminal.out.print(f"\n{why}", markup=False)
    terminal.out.print()
    return {one.name for one in found if one.missing}


def _needed(config: PoolConfig) -> tuple[list[str], list[str]]:
    """Models that run in this process and the adapters on them, each once."""
    from ..programs.config_fields import LOCAL

    lms = [config.base, *(config.community_lm(member) for member in config.communities)]
    models = dict.fromkeys(lm.model.removeprefix(LOCAL) for lm in lms if lm.model.startswith(LOCAL))
    adapters = dict.fromkeys(lm.adapter for lm in lms if lm.adapter)
    return list(models), list(adapters)


def _state(one: Footprint) -> str:
    if one.missing:
        return "missing"
    return "to be downloaded" if one.remote else "here"


def _memory(found: Sequence[Footprint], size: int) -> str:
    """Parameters times the bytes of each, as far as they are known."""
    known = [one.parameters for one in found if one.parameters is not None]
    if not known:
        return "unknown until downloaded"
    unknown = len(found) - len(known)
    more = f", and {unknown} unknown until downloaded" if unknown else ""
    return f"{_bytes(sum(known) * size)} ({_count(sum(known))} parameters x {size} bytes){more}"


def _reasons(missing: Iterable[Footprint]) -> list[str]:
    """One paragraph for all that are missing for the same reason."""
    alike: dict[str, list[Footprint]] = defaultdict(list)
    for one in missing:
        alike[str(one.missing).replace(repr(one.name), "NAME").replace(one.name, "NAME")].append(one)
    return [
        str(those[0].missing) if len(those) == 1 else f"{why} (NAME is each of {', '.join(one.name for one in those)})"
        for why, those in alike.items()
    ]


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _count(count: int) -> str:
    return f"{count / 1e9:.2f} billion" if count >= 1e9 else f"{count / 1e6:.1f} million"
