"""The options that several commands share, and how they become a program."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .session import WrongUsageError, checking

if TYPE_CHECKING:
    import dspy

    from ..programs.program import Program

DEFAULT_POOL = "default"


class ModeName(StrEnum):
    """The modes, as `modplural.programs.saving.PROGRAMS` names them."""

    OVERTON = "overton"
    STEERABLE = "steerable"
    DISTRIBUTIONAL = "distributional"


class BaselineName(StrEnum):
    """The baselines, as `modplural.programs.saving.PROGRAMS` names them."""

    VANILLA = "vanilla"
    PROMPTED = "prompted"
    MIXTURE_OF_EXPERTS = "mixture_of_experts"


class FailureAction(StrEnum):
    """What a failing community leads to, as `modplural.FailurePolicy` names it."""

    RAISE = "raise"
    CONTINUE = "continue"


class MeasureName(StrEnum):
    """The ways to measure a choice, as `modplural.MeasuredChoice` names them."""

    AUTO = "auto"
    LETTERS = "letters"
    TEXTS = "texts"
    VERDICTS = "verdicts"
    CHANNEL = "channel"
    SAMPLED = "sampled"
    VERBALIZED = "verbalized"


class SynthesisName(StrEnum):
    """The ways to synthesize, as `modplural.Overton` names them."""

    JOINT = "joint"
    PER_MESSAGE = "per_message"
    REFINE = "refine"
    EXTRACTIVE = "extractive"


ModeOption = Annotated[ModeName | None, typer.Option("--mode", help="The mode that answers.")]
BaselineOption = Annotated[
    BaselineName | None, typer.Option("--baseline", help="A baseline that answers in the place of a mode.")
]
ProgramOption = Annotated[
    Path | None,
    typer.Option(
        "--program", metavar="FOLDER|VERSION", help="A saved program or a version, which has its own mode and pool."
    ),
]
PoolOption = Annotated[
    str | None,
    typer.Option("--pool", metavar="FILE|PRESET", help=f"The pool; the preset '{DEFAULT_POOL}' if not given."),
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, max=2**32 - 1, help="Seed for LMs that sample; those at temperature 0 need none."),
]
OnFailureOption = Annotated[
    FailureAction | None, typer.Option("--on-failure", help="Whether to answer without a community that fails.")
]
AtLeastOption = Annotated[
    int | None, typer.Option("--at-least", min=1, help="Communities to answer with, at the least, when some fail.")
]
MeasureOption = Annotated[MeasureName | None, typer.Option("--measure", help="How choices are measured.")]
SynthesisOption = Annotated[
    SynthesisName | None, typer.Option("--synthesis", help="How Overton makes one response of the messages.")
]


def make_program(
    mode: ModeName | None,
    baseline: BaselineName | None,
    saved: Path | None,
    pool: str | None,
    seed: int | None,
) -> Program:
    """Make the program that the options name.

    Raises:
        WrongUsageError: They name none, or contradict each other, or name something that cannot be made.
    """
    if sum(name is not None for name in (mode, baseline, saved)) != 1:
        raise WrongUsageError("Say what answers, by one of --mode, --baseline and --program.")
    if saved and pool:
        raise WrongUsageError("A saved program has a pool of its own; leave out --pool, or name a mode with it.")
    with checking():
        program = _load(saved) if saved else _make(str(mode or baseline), pool or DEFAULT_POOL)
    if seed is not None:
        for lm in lms_of(program):  # which were made for this program, so nobody else draws with the seed
            lm.kwargs["seed"] = seed
    return program


def _load(folder: Path) -> Program:
    from ..loading import load

    return load(folder)


def _make(name: str, source: str) -> Program:
    from ..poolfile import open_pool
    from ..programs.baselines import MixtureOfExperts
    from ..programs.mode import Mode
    from ..programs.saving import PROGRAMS

    kind = PROGRAMS[name]
    base, pool = open_pool(source)
    return kind(base, pool) if issubclass(kind, Mode | MixtureOfExperts) else kind(base)


def lms_of(program: Program) -> list[dspy.BaseLM]:
    """The LMs of a program, each once."""
    import dspy

    return [lm for _, lm in program.named_sub_modules(dspy.BaseLM)]
