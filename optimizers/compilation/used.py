"""Which of a program's predictors an example reaches: the others are not worth a candidate."""

from __future__ import annotations

import dspy

from ...programs.program import Program


def used_predictors(program: Program, example: dspy.Example) -> list[str]:
    """Names of the program's own predictors that answer an example, in the order in which they do; it is answered once.

    Communities are no part of it where they are frozen; see `strategy.frozen`.
    """
    with dspy.context(trace=[]):
        program(**example.inputs().toDict())
        seen = [id(predictor) for predictor, _, _ in dspy.settings.trace]
    names = {id(predictor): name for name, predictor in program.named_predictors()}
    return list(dict.fromkeys(names[one] for one in seen if one in names))
