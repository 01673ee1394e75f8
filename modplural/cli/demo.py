"""`modplural demo`: every mode, a run over a few records and the six tasks, on the LM that comes along."""

from __future__ import annotations

import shlex
import tempfile
import time
from importlib.resources import as_file
from pathlib import Path
from typing import TYPE_CHECKING

from .adjusting import Changes, adjust
from .ask import answer
from .demo_evaluation import evaluate_sample
from .options import DEFAULT_POOL, ModeName, SynthesisName, lms_of, make_program
from .run import run_records
from .session import Terminal, session

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.resources.abc import Traversable

    from ..programs.question import Question

_TASK = "distributional-moralchoice"
_RECORDS = 2
_SYNTHESIS = SynthesisName.PER_MESSAGE  # a joint synthesis by so small a base loses what the communities said


def demo() -> None:
    """Ask a question in each mode, answer a few records and evaluate the six tasks, on the LM that comes along."""
    started = time.monotonic()
    with session() as terminal:
        from ..poolfile import open_pool

        programs = {mode: make_program(mode, None, None, DEFAULT_POOL, None) for mode in ModeName}
        adjust(programs[ModeName.OVERTON], Changes(synthesis=_SYNTHESIS))
        for program in programs.values():
            for lm in lms_of(program):
                lm.cache = False  # what an earlier demo was told would show nothing
        for mode, question in _questions():
            _announce(terminal, _command(mode, question))
            answer(terminal, programs[mode], question)
        with as_file(_sample()) as records, tempfile.TemporaryDirectory(prefix="modplural-demo-") as folder:
            output = Path(folder) / records.name
            mode = ModeName.DISTRIBUTIONAL
            _announce(
                terminal,
                ["modplural", "run", records.name, "--mode", mode, "--limit", str(_RECORDS), "--output", str(output)],
            )
            run_records(terminal, programs[mode], records, output, limit=_RECORDS, workers=8)
            _show_results(terminal, output)
        terminal.out.print(f"\nSo far it took {time.monotonic() - started:.0f} s.")
        evaluate_sample(terminal, open_pool(DEFAULT_POOL))
        terminal.out.print(f"\nThe demo took {time.monotonic() - started:.0f} s.")


def _questions() -> Iterator[tuple[ModeName, Question]]:
    from ..programs.question import Question

    yield ModeName.OVERTON, Question("Should a school ban mobile phones?")
    yield ModeName.STEERABLE, Question("Should I tell my boss that a colleague steals?", attribute="loyalty")
    yield (
        ModeName.DISTRIBUTIONAL,
        Question("Should a village close its streets to cars on Sundays?", options=("Yes", "No")),
    )


def _command(mode: ModeName, question: Question) -> list[str]:
    attribute = [] if question.attribute is None else ["--attribute", question.attribute]
    options = [part for option in question.options or () for part in ("--option", option)]
    synthesis = ["--synthesis", _SYNTHESIS] if mode is ModeName.OVERTON else []
    return ["modplural", "ask", question.query, "--mode", mode, *synthesis, *attribute, *options]


def _announce(terminal: Terminal, command: Sequence[str]) -> None:
    from rich.text import Text

    terminal.out.print(Text(f"\n$ {shlex.join(command)}\n", style="bold green"), soft_wrap=True)


def _sample() -> Traversable:
    from ..data import sample

    return sample(_TASK)


def _show_results(terminal: Terminal, output: Path) -> None:
    """Show each record with the probabilities of its options, and the gold ones."""
    from ..data import read_records
    from . import show

    answered = read_records(output, _TASK)
    rows = []
    for index, record in answered.records.items():
        asked = record.example()
        found = answered.rows[index][record.record_key] or ()
        for option, probability in zip(asked.options, found, strict=False):
            rows.append([str(record.id), option, f"{probability:.0%}", f"{asked.gold_distribution[option]:.0%}"])
    terminal.out.print(show.listing(["record", "option", "found", "gold"], rows))
