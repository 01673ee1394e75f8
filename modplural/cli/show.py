"""How messages and answers look in a terminal.

What LMs and files say is shown as text and never as markup or control characters: it may be anybody's. This file knows
predictions and rich; it asks nobody anything.
"""

from collections.abc import Collection, Iterable, Mapping
from unicodedata import category

from dspy import Prediction
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

_BAR = 40
_NAME = 28
"""Widest column of names or options, in columns of the terminal; longer ones go on in the next line."""


def printable(text: str) -> str:
    """The text without control characters, which could do anything to a terminal; line breaks and tabs stay."""
    return "".join(char for char in text if char in "\n\t" or category(char) not in ("Cc", "Cs"))


def message(community: str, text: str, communities: Collection[str]) -> RenderableType:
    """What a community says, its name beside it; names of `communities` fit the first column."""
    row = Table.grid(padding=(0, 2))
    row.add_column(width=min(_NAME, max(map(len, communities))))
    row.add_column()
    row.add_row(Text(community, style="bold cyan"), Text(printable(" ".join(text.split()))))
    return row


def answer(prediction: Prediction) -> RenderableType:
    """All that a prediction says beside its messages."""
    parts: list[RenderableType] = []
    for community, why in (prediction.get("failures") or {}).items():
        parts.append(Text(f"{community} failed: {printable(why)}", style="red"))
    if "selection_probabilities" in prediction:
        parts += [_heading(f"Selected: {prediction.selected}"), shares(prediction.selection_probabilities)]
    if "per_community" in prediction:
        parts += [_heading("Each community"), _communities(prediction)]
    if "probabilities" in prediction:
        parts += [_heading(_choice_title(prediction)), shares(prediction.probabilities)]
    if "response" in prediction:
        parts += [_heading("Response"), Text(printable(prediction.response.strip()))]
    return Group(*parts)


def shares(probabilities: Mapping[str, float]) -> RenderableType:
    """A bar for each option."""
    table = Table.grid(padding=(0, 2))
    table.add_column(max_width=_NAME)
    table.add_column(justify="right")
    table.add_column(width=_BAR)
    for option, probability in probabilities.items():
        table.add_row(Text(printable(option)), _percent(probability), ProgressBar(1.0, probability, _BAR))
    return table


def listing(columns: Collection[str], rows: Iterable[Iterable[str]]) -> Table:
    """A plain table of texts."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", show_header=any(columns))
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    return table


def _communities(prediction: Prediction) -> RenderableType:
    """The distribution of each community, by the place of the options, which the bars below name in full."""
    options = list(prediction.probabilities)
    rows = [
        [name, _percent(prediction.weights[name]), *(_percent(found[option]) for option in options)]
        for name, found in prediction.per_community.items()
    ]
    return listing(["", "weight", *(_short(option) for option in options)], rows)


def _choice_title(prediction: Prediction) -> str:
    return f"Answer: {printable(prediction.option)}" if "option" in prediction else "All together"


def _heading(title: str) -> Text:
    return Text(f"\n{title}", style="bold")


def _percent(probability: float) -> str:
    return f"{probability:.0%}"


def _short(option: str) -> str:
    words = printable(option)
    return words if len(words) <= 12 else f"{words[:11]}…"
