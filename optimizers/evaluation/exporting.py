"""An evaluation's answers as benchmark files in the field's common format, one for each task and method.

This file knows records and rows; how rows came about is known elsewhere.
"""

from collections.abc import Sequence
from pathlib import Path

from ...data import encode_rows, write_atomic
from .result import Evaluation
from .work import Plan


def export(evaluation: Evaluation, plans: Sequence[Plan], folder: str | Path) -> list[Path]:
    """Write `<task>.<method>.json` files: the records with `output` or `pred_distribution` filled.

    Rows that failed get null, so that an answer which the records came with cannot pass for a new one.

    Args:
        evaluation: What was found.
        plans: What was evaluated.
        folder: Made where it is missing; files of the same names are replaced.

    Returns:
        The files.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return [_write(evaluation, plan, method, folder) for plan in plans for method in plan.programs]


def _write(evaluation: Evaluation, plan: Plan, method: str, folder: Path) -> Path:
    records = plan.records.records
    answers = {
        row.index: records[row.index].answer(row.prediction[records[row.index].prediction_field])
        for row in evaluation.rows
        if (row.task, row.method) == (plan.task, method) and row.prediction is not None
    }
    path = folder / f"{plan.task}.{method}.json"
    write_atomic(path, encode_rows(plan.records.filled(answers)))
    return path
