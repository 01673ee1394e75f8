"""`modplural communities effect`: what communities bring to the answers of a pool, measured."""

from __future__ import annotations

import json
import logging
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .adjusting import Changes, adjust
from .bar import Bar
from .effect_tables import effects_data, show_effects
from .options import MeasureOption, ModeName, PoolOption, SeedOption, SynthesisOption, make_program
from .session import FAILED, Terminal, WrongUsageError, checking, described, interruptible, session

if TYPE_CHECKING:
    import dspy

    from ..data import Task
    from ..optimizers.effect import Effects
    from ..programs.mode import Mode

_logger = logging.getLogger(__name__)


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
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many records only, drawn from all.")] = None,
    seed: SeedOption = None,
    measure: MeasureOption = None,
    synthesis: SynthesisOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure a task with and without each community, on the same records; exit code 1 if some fail."""
    with session() as terminal:
        from ..data import find_task

        with checking():
            found = find_task(task)
        program = make_program(ModeName(found.mode), None, None, pool, seed)
        adjust(program, Changes(measure=measure, synthesis=synthesis))
        _check_names(program, names)
        effects = _measured(terminal, program, names, _examples(found, data, split, limit), found)
        if as_json:
            terminal.out.print_json(json.dumps(effects_data(effects)))
        else:
            show_effects(terminal, effects)
        if effects.failed:
            raise typer.Exit(FAILED)


def _check_names(program: Any, names: list[str]) -> None:
    with checking():
        for name in names:
            program.pool[name]


def _examples(task: Task, data: Path | None, split: str, limit: int | None) -> list[dspy.Example]:
    from ..data import RecordFileError, load_task, split_records
    from ..optimizers.evaluation import drawn_records

    try:
        records = load_task(task.name, data)
    except (RecordFileError, OSError) as error:
        raise WrongUsageError(described(error)) from error
    if records.bad:
        number, first = len(records.bad), records.bad[0]
        _logger.warning(
            "%s: %d unreadable and left out, such as record %d (%s)", records.path, number, first.index, first.reason
        )
    parts = {**split_records(records)._asdict(), "all": records}
    if split not in parts:
        raise WrongUsageError(f"there is no split {split!r}; the splits are {', '.join(parts)}")
    part = parts[split]
    drawn = part if limit is None else drawn_records(part, limit)
    asked = [record for record in drawn.records.values() if record.settled() is None]
    if len(asked) < len(drawn.records):
        _logger.warning("%d records have one option, and are left out", len(drawn.records) - len(asked))
    if not asked:
        raise WrongUsageError(
            f"the split {split!r} of {records.path} holds no record to ask about; name another one with --split"
        )
    return [record.example() for record in asked]


def _measured(terminal: Terminal, program: Mode, names: list[str], examples: list[dspy.Example], task: Task) -> Effects:
    from ..optimizers.effect import measure_effects
    from ..optimizers.metrics import metric_for

    names = list(dict.fromkeys(names))
    with checking():
        metric = metric_for(task.name)
    answers, total = count(1), len(examples) * (1 + len(names))
    with Bar(terminal, "answers") as bar:

        def draw() -> None:
            bar.draw(next(answers), total)

        return interruptible(lambda: measure_effects(program, names, examples, metric, on_answer=draw))
