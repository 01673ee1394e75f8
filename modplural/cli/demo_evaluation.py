"""The last part of `modplural demo`: the six tasks on the sample, vanilla against modular, as one table.

All situations and questions of the test split are asked about. Where several records ask about the same one, for a
value or a group each, one of them is taken: all of them would take more than three minutes on two cores. What is left
out is printed.
"""

from __future__ import annotations

import shlex
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from .adjusting import Changes, adjust
from .bars import TaskBars
from .options import SynthesisName
from .session import Terminal, interruptible

if TYPE_CHECKING:
    from ..data import RecordFile
    from ..optimizers.evaluation import Evaluation, Plan
    from ..programs.building import BuiltPool

VANILLA, MODULAR = "vanilla", "modular"

TOKENS = 32
"""Of a message, at the most: the first sentence or two."""

_SYNTHESIS = SynthesisName.EXTRACTIVE  # what so small a base LLM writes anew loses what the communities said


def evaluate_sample(terminal: Terminal, built: BuiltPool) -> None:
    """Evaluate, and show what was found and what was left out."""
    plans = sample_plans(built)
    for lm in (built.base, *(community.lm for community in built.pool)):
        lm.cache = False  # what an earlier demo was told would show nothing
    for community in built.pool:
        community.lm.kwargs["max_tokens"] = TOKENS
    _show(terminal, _evaluated(terminal, plans, built), plans)


def sample_plans(built: BuiltPool) -> list[Plan]:
    """The six tasks, each with records of the sample's test split and the two methods."""
    from ..data import TASKS, load_task, split_records
    from ..optimizers.evaluation import Plan, make_methods

    plans = []
    for name, task in TASKS.items():
        programs = make_methods((VANILLA, MODULAR), task.mode, built.base, built.pool)
        if task.mode == "overton":
            adjust(programs[MODULAR], Changes(synthesis=_SYNTHESIS))
        plans.append(Plan(one_of_each(split_records(load_task(name)).test), programs))
    return plans


def one_of_each(records: RecordFile) -> RecordFile:
    """One record about each situation: of the first situation its first one, of the second its second, and so on."""
    from ..data.splits import situation

    about: dict[str, list[int]] = defaultdict(list)
    for index, record in records.records.items():
        about[situation(record)].append(index)
    kept = [indices[place % len(indices)] for place, indices in enumerate(about.values())]
    return replace(records, records={index: records.records[index] for index in kept})


def _evaluated(terminal: Terminal, plans: Sequence[Plan], built: BuiltPool) -> Evaluation:
    from ..optimizers.evaluation import evaluate
    from ..optimizers.metrics import PairwiseJudge

    judge = PairwiseJudge(built.base)
    with tempfile.TemporaryDirectory(prefix="modplural-demo-") as folder, TaskBars(terminal) as bars:
        return interruptible(lambda: evaluate(plans, folder, judge=judge, reference=VANILLA, on_progress=bars.show))


def _show(terminal: Terminal, found: Evaluation, plans: Sequence[Plan]) -> None:
    from rich.text import Text

    from ..optimizers.evaluation import report_tables
    from . import show

    for table in filter(None, (report_tables.overview_table(found, MODULAR), report_tables.failure_table(found))):
        terminal.out.print(Text(f"{table.title}", style="bold"), show.listing(table.columns, table.rows), "", sep="\n")
    for line in (_lengths(found), _left_out(plans), _everything(plans)):
        terminal.out.print(line, markup=False, soft_wrap=True)


def _lengths(found: Evaluation) -> str:
    words = {
        one.method: f"{one.figures['words'].value:.0f} by {one.method}"
        for one in found.figures
        if "words" in one.figures
    }
    return f"Words in an answer of overton-vk: {', '.join(words.values())}; a longer answer covers more."


def _left_out(plans: Sequence[Plan]) -> str:
    sizes = {plan.task: (len(plan.records.records), len(plan.records.rows)) for plan in plans}
    left = [f"{whole - taken} of {whole} records of {task}" for task, (taken, whole) in sizes.items() if taken < whole]
    return f"Left out, for time: {' and '.join(left)}, and what a message says after {TOKENS} tokens."


def _everything(plans: Sequence[Plan]) -> str:
    command = ["modplural", "evaluate", "--task", ",".join(plan.task for plan in plans)]
    command += ["--method", f"{VANILLA},{MODULAR}", "--against", VANILLA, "--judge", "base"]
    command += ["--synthesis", _SYNTHESIS, "--output", "results"]
    return f"All of it: {shlex.join(command)}"
