"""`modplural communities effect`: what communities bring to the answers of a pool, measured."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .adjusting import Changes, adjust
from .options import MeasureOption, ModeName, PoolOption, SeedOption, SynthesisOption, make_program
from .session import Terminal, WrongUsageError, checking, described, interruptible, session

if TYPE_CHECKING:
    import dspy

    from ..data import Task
    from ..optimizers.effect import Effects
    from ..optimizers.metrics import Comparison
    from ..programs.mode import Mode

_ATTRIBUTES_SHOWN = 3


def effect(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="The communities whose effect is measured.")],
    pool: PoolOption = None,
    task: Annotated[str, typer.Option(metavar="NAME", help="What is asked of the pool, and how it is measured.")] = (
        "overton-vk"
    ),
    data: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Records of the task; the sample that comes along if not given.")
    ] = None,
    split: Annotated[str, typer.Option(help="Which of the records: train, dev, test or all.")] = "test",
    limit: Annotated[int | None, typer.Option(min=1, help="Take the first so many records only.")] = None,
    seed: SeedOption = None,
    measure: MeasureOption = None,
    synthesis: SynthesisOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a task with and without each community, on the same records."""
    with session() as terminal:
        from ..data import find_task

        with checking():
            found = find_task(task)
        program = make_program(ModeName(found.mode), None, None, pool, seed)
        adjust(program, Changes(measure=measure, synthesis=synthesis))
        _check_names(program, names)
        effects = _measured(terminal, program, names, _examples(found, data, split, limit), found)
        if as_json:
            terminal.out.print_json(json.dumps(_as_dict(effects)))
        else:
            _show(terminal, effects)


def _check_names(program: Any, names: list[str]) -> None:
    with checking():
        for name in names:
            program.pool[name]


def _examples(task: Task, data: Path | None, split: str, limit: int | None) -> list[dspy.Example]:
    from ..data import RecordFileError, load_task, split_records

    try:
        records = load_task(task.name, data)
    except (RecordFileError, OSError) as error:
        raise WrongUsageError(described(error)) from error
    parts = {**split_records(records)._asdict(), "all": records}
    if split not in parts:
        raise WrongUsageError(f"there is no split {split!r}; the splits are {', '.join(parts)}")
    examples = parts[split].examples()[:limit]
    if not examples:
        raise WrongUsageError(f"the split {split!r} of {records.path} holds no record; name another one with --split")
    return examples


def _measured(terminal: Terminal, program: Mode, names: list[str], examples: list[dspy.Example], task: Task) -> Effects:
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    from ..optimizers.effect import measure_effects
    from ..optimizers.metrics import metric_for

    names = list(dict.fromkeys(names))
    with checking():
        metric = metric_for(task.name)
    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=terminal.notes, disable=not terminal.notes.is_terminal) as progress:
        bar = progress.add_task("", total=len(examples) * (1 + len(names)))
        return interruptible(
            lambda: measure_effects(program, names, examples, metric, on_answer=lambda: progress.advance(bar))
        )


def _show(terminal: Terminal, effects: Effects) -> None:
    from . import show

    rows = [
        [
            one.community,
            f"{one.without.value:.3f}",
            f"{one.difference.difference:+.3f}",
            f"{one.difference.low:+.3f} to {one.difference.high:+.3f}",
            f"{one.share:.0%}",
        ]
        for one in effects.effects
    ]
    columns = ["community", "without it", "effect", "95% interval", "records changed"]
    whole = effects.whole
    better = "more" if effects.metric.higher_is_better else "less"
    terminal.out.print(f"{whole} with the whole pool; {better} is better\n", markup=False, soft_wrap=True)
    terminal.out.print(show.listing(columns, rows))
    of_attributes = [row for one in effects.effects for row in _of_attributes(one.community, one.by_attribute)]
    if of_attributes:
        terminal.out.print("\nWhere each changes most:")
        terminal.out.print(show.listing(["community", "attribute", "effect", "95% interval", "n"], of_attributes))


def _of_attributes(community: str, by_attribute: dict[str, Comparison] | Any) -> list[list[str]]:
    ranked = sorted(by_attribute.items(), key=lambda pair: -abs(pair[1].difference))
    return [
        [community, attribute, f"{one.difference:+.3f}", f"{one.low:+.3f} to {one.high:+.3f}", str(one.n)]
        for attribute, one in ranked[:_ATTRIBUTES_SHOWN]
    ]


def _as_dict(effects: Effects) -> dict[str, Any]:
    return {
        "task": effects.metric.task,
        "higher_is_better": effects.metric.higher_is_better,
        "whole": asdict(effects.whole),
        "effects": [asdict(one) for one in effects.effects],
    }
