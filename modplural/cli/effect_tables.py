"""What communities bring, in tables and as data for JSON; what has too few records says so and is ranked nowhere."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .session import Terminal

if TYPE_CHECKING:
    from ..optimizers.effect import Effect, Effects
    from ..optimizers.metrics import Comparison, Figure

_ATTRIBUTES_SHOWN = 3
_TOO_SMALL = "n too small"


def show_effects(terminal: Terminal, effects: Effects) -> None:
    """Print the effect of each community, where each changes most, and what failed."""
    from . import show

    better = "more" if effects.metric.higher_is_better else "less"
    whole = f"{_told(effects.whole)} with the whole pool; {better} is better\n"
    terminal.out.print(whole, markup=False, soft_wrap=True)
    columns = ["community", "without it", "effect", "95% interval", "records changed", "n"]
    terminal.out.print(show.listing(columns, map(_row, effects.effects)))
    _show_attributes(terminal, effects)
    _show_failed(terminal, effects)


def effects_data(effects: Effects) -> dict[str, Any]:
    """All that was measured as JSON data."""
    return {
        "task": effects.metric.task,
        "higher_is_better": effects.metric.higher_is_better,
        "whole": _known(asdict(effects.whole)),
        "effects": [_known(asdict(one)) for one in effects.effects],
        "failed": [asdict(one) for one in effects.failed],
    }


def _told(whole: Figure) -> str:
    if not math.isnan(whole.low):
        return str(whole)
    scored = f", scored by {whole.scorer}" if whole.scorer else ""
    return f"{whole.name} {_number(whole.value)} (n={whole.n}, {_TOO_SMALL}{scored})"


def _row(one: Effect) -> list[str]:
    found = one.difference
    changed = "" if math.isnan(one.share) else f"{one.share:.0%}"
    without = _number(one.without.value)
    return [one.community, without, _signed(found.difference), _interval(found), changed, str(found.n)]


def _show_attributes(terminal: Terminal, effects: Effects) -> None:
    """The attributes that change most, of those with records enough to tell."""
    from ..optimizers.breakdown import FEWEST
    from . import show

    rows = [row for one in effects.effects for row in _most_changed(one)]
    if rows:
        terminal.out.print("\nWhere each changes most:")
        terminal.out.print(show.listing(["community", "attribute", "effect", "95% interval", "n"], rows))
    parts = [part for one in effects.effects for part in one.by_attribute.items()]
    small = {attribute for attribute, found in parts if math.isnan(found.low)}
    if small:
        said = f"\nAttributes with fewer than {FEWEST} situations, {_TOO_SMALL}: {len(small)}; --json has all"
        terminal.out.print(said, markup=False, soft_wrap=True)


def _most_changed(one: Effect) -> list[list[str]]:
    sure = [(attribute, found) for attribute, found in one.by_attribute.items() if not math.isnan(found.low)]
    ranked = sorted(sure, key=lambda pair: -abs(pair[1].difference))
    return [
        [one.community, attribute, _signed(found.difference), _interval(found), str(found.n)]
        for attribute, found in ranked[:_ATTRIBUTES_SHOWN]
    ]


def _show_failed(terminal: Terminal, effects: Effects) -> None:
    from . import show

    alike: dict[tuple[str, str], list[str]] = defaultdict(list)
    for one in effects.failed:
        pool = "the whole pool" if one.without is None else f"without {one.without}"
        alike[pool, one.reason].append(str(one.record))
    if alike:
        count = len({one.record for one in effects.failed})
        terminal.out.print(f"\nRecords that failed, and are in no pair where they did: {count}", markup=False)
        rows = [[", ".join(records), pool, why] for (pool, why), records in alike.items()]
        terminal.out.print(show.listing(["records", "", ""], rows))


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"


def _signed(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:+.3f}"


def _interval(found: Comparison) -> str:
    return _TOO_SMALL if math.isnan(found.low) else f"{found.low:+.3f} to {found.high:+.3f}"


def _known(value: Any) -> Any:
    """The same with null for what is not a number, as JSON has no word for it."""
    if isinstance(value, dict):
        return {name: _known(part) for name, part in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value
