"""`modplural ask`: one question, answered in front of the user or as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from .adjusting import Changes, adjust
from .options import (
    AtLeastOption,
    BaselineOption,
    MeasureOption,
    ModeOption,
    OnFailureOption,
    PoolOption,
    ProgramOption,
    SeedOption,
    SynthesisOption,
    make_program,
)
from .session import Terminal, checking, interruptible, session

if TYPE_CHECKING:
    import dspy

    from ..programs.messages import Message
    from ..programs.program import Program
    from ..programs.question import Question


def ask(
    query: Annotated[str, typer.Argument(metavar="QUESTION", help="What to ask; '-' reads it from standard input.")],
    mode: ModeOption = None,
    baseline: BaselineOption = None,
    program: ProgramOption = None,
    pool: PoolOption = None,
    attribute: Annotated[
        str | None, typer.Option(metavar="TEXT", help="A value or a group whose standpoint is asked for.")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(metavar="TEXT", help="A possible answer; give two or more.")
    ] = None,
    seed: SeedOption = None,
    on_failure: OnFailureOption = None,
    at_least: AtLeastOption = None,
    measure: MeasureOption = None,
    synthesis: SynthesisOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the prediction as one JSON object.")] = False,
) -> None:
    """Ask one question."""
    with session() as terminal:
        from ..programs.question import Question

        with checking():
            question = Question.check(sys.stdin.read() if query == "-" else query, attribute, option or None)
        made = make_program(mode, baseline, program, pool, seed)
        adjust(made, Changes(on_failure, at_least, measure, synthesis))
        with checking():
            question.fit(type(made).__name__, made.attribute_use, made.options_use)
        if as_json:
            with terminal.notes.status("Asking"):
                prediction = call(made, question)
            typer.echo(json.dumps(dict(prediction.items()), default=asdict, ensure_ascii=False, allow_nan=False))
        else:
            answer(terminal, made, question)


def answer(terminal: Terminal, program: Program, question: Question) -> None:
    """Ask, show every message as soon as it is there, then the rest of the answer."""
    from ..programs.pool import listening
    from . import show

    names = [community.name for community in getattr(program, "pool", ())]

    def hear(message: Message) -> None:
        terminal.out.print(show.message(message.community, message.text, names))

    with terminal.notes.status("Asking"), listening(hear):
        prediction = call(program, question)
    terminal.out.print(show.answer(prediction))


def call(program: Program, question: Question) -> dspy.Prediction:
    """Call a program with a question, where an interruption is heard."""
    return interruptible(lambda: program(query=question.query, attribute=question.attribute, options=question.options))
