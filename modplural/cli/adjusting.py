"""What options change of a program that is made: failing communities, measured choices, the synthesis.

A change that a program has no use for is wrong usage: to ignore it would give an answer that was not asked for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from .options import FailureAction, MeasureName, SynthesisName
from .session import WrongUsageError, checking, described

if TYPE_CHECKING:
    from ..programs.program import Program


class Changes(NamedTuple):
    """The options that were given; None leaves a program as it is."""

    on_failure: FailureAction | None = None
    at_least: int | None = None
    measure: MeasureName | None = None
    synthesis: SynthesisName | None = None


def adjust(program: Program, changes: Changes) -> None:
    """Change a program as the options say.

    Raises:
        WrongUsageError: The program has nothing of the kind, or its LMs cannot do it.
    """
    with checking():
        _set_failures(program, changes)
        if changes.measure is not None:
            _set_measure(program, changes.measure)
        if changes.synthesis is not None:
            _set_synthesis(program, changes.synthesis)


def _set_failures(program: Program, changes: Changes) -> None:
    from ..programs.baselines import MixtureOfExperts
    from ..programs.mode import Mode

    given: dict[str, Any] = {"action": changes.on_failure and str(changes.on_failure), "at_least": changes.at_least}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        return
    if not isinstance(program, Mode | MixtureOfExperts):
        raise WrongUsageError(f"{_kind(program)} asks no community; leave out --on-failure and --at-least")
    policy = replace(program.failures, **given)
    if changes.at_least is not None and policy.action == "raise":
        raise WrongUsageError("--at-least says how few communities may be left; it needs --on-failure continue")
    if policy.at_least > len(program.pool):
        raise WrongUsageError(f"--at-least is {policy.at_least}, and the pool has {len(program.pool)} communities")
    program.failures = policy


def _set_measure(program: Program, strategy: MeasureName) -> None:
    from ..programs.asking import CannotMeasureError
    from ..programs.choice import MeasuredChoice
    from ..programs.measurement import Measurement

    choices = [predictor for predictor in program.predictors() if isinstance(predictor, MeasuredChoice)]
    if not choices:
        raise WrongUsageError(f"{_kind(program)} makes no choice that could be measured; leave out --measure")
    if strategy is MeasureName.CHANNEL:
        choices = [choice for choice in choices if choice.channel is not None]
    if not choices:
        raise WrongUsageError(
            f"'channel' compares how likely an input such as the attribute is, and no choice of {_kind(program)} names"
            " one; give --measure another strategy"
        )
    for choice in choices:
        if choice.measurement.strategy != strategy:  # another strategy's calibration would say nothing about it
            choice.measurement = Measurement(str(strategy))
        try:
            choice.strategy_for(program.base)
        except CannotMeasureError as error:
            raise WrongUsageError(described(error)) from error


def _set_synthesis(program: Program, strategy: SynthesisName) -> None:
    from ..programs.overton import Overton

    if not isinstance(program, Overton):
        raise WrongUsageError(f"{_kind(program)} synthesizes nothing, as Overton does; leave out --synthesis")
    program.synthesis.value = str(strategy)


def _kind(program: Program) -> str:
    return type(program).__name__
