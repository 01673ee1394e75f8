"""`modplural tasks`: the six tasks of the evaluation, and the public datasets that they are made of.

What is there is told from the package and the local cache of the hub; nothing is fetched and nobody is asked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from .session import Terminal, session

if TYPE_CHECKING:
    from ..data.sources import Source

METRICS: Mapping[str, str] = {
    "overton-vk": "value coverage",
    "overton-judge": "wins, ties and losses",
    "steerable-vk": "accuracy, macro-F1",
    "steerable-opinionqa": "match of the likeliest",
    "distributional-moralchoice": "Jensen-Shannon distance",
    "distributional-globalopinionqa": "Jensen-Shannon distance",
}
"""What each task measures, in a few words."""


@dataclass(frozen=True)
class _Dataset:
    """A public dataset and whether it can be used now: `there`, or not yet there and `gated` or `missing`."""

    name: str
    home: str
    hub_id: str | None
    size: str
    licence: str
    state: str
    to_do: str


@dataclass(frozen=True)
class _Task:
    """A task, with the number of records in the sample that comes along; 0 where there is none."""

    name: str
    mode: str
    metric: str
    sample_records: int
    source: _Dataset


def tasks(
    as_json: Annotated[bool, typer.Option("--json", help="Print the tasks as one JSON list.")] = False,
) -> None:
    """List the six tasks, where their records are from, and what is needed to have them."""
    with session() as terminal:
        from ..data.sources import SOURCES

        datasets = {name: _dataset(source) for name, source in SOURCES.items()}
        found = _tasks(datasets)
        if as_json:
            typer.echo(json.dumps([asdict(task) for task in found], ensure_ascii=False))
        else:
            _show(terminal, found, list(datasets.values()))


def _tasks(datasets: Mapping[str, _Dataset]) -> list[_Task]:
    from ..data import SAMPLES, TASKS
    from ..data.sources import load_task, source_of

    return [
        _Task(
            name=name,
            mode=task.mode,
            metric=METRICS[name],
            sample_records=len(load_task(name).records) if name in SAMPLES else 0,
            source=datasets[source_of(name).name],
        )
        for name, task in TASKS.items()
    ]


def _dataset(source: Source) -> _Dataset:
    there = source.cached()
    state = "there" if there else "gated" if source.gated else "missing"
    to_do = "" if there else source.remedy()
    return _Dataset(source.name, source.home, source.hub_id, source.size, source.licence, state, to_do)


def _show(terminal: Terminal, found: list[_Task], datasets: list[_Dataset]) -> None:
    from rich.text import Text

    from . import show

    rows = [[task.name, task.mode, task.metric, task.source.name, str(task.sample_records)] for task in found]
    terminal.out.print(show.listing(["task", "mode", "metric", "dataset", "sample"], rows))
    listed = [[dataset.name, dataset.size, dataset.licence, dataset.state] for dataset in datasets]
    terminal.out.print("", show.listing(["dataset", "size", "licence", "state"], listed), sep="\n")
    for dataset in datasets:
        if dataset.to_do:
            terminal.out.print(Text(f"\n{dataset.name}: {dataset.to_do}."))
