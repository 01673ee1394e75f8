"""Reads what a version scored: from JSON of its own, from the report of a compilation, or from an evaluation.

In an evaluation the version is found among the methods by the digest of the program, so that nobody's scores become
another's. This file knows the forms of these files; it must not know MLflow.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import dspy
from pydantic import ValidationError

from ...programs.errors import SavedProgramError
from ...programs.saving import load
from ..evaluation.work import program_digest
from .scores import Scores

Data = Mapping[str, Any]


class UnfitError(ValueError):
    """An evaluation is whole, and has no figures of the program that was meant; the message says what it has."""


def read_scores(file: Path, program: Path | None = None, task: str | None = None) -> Scores:
    """Read scores from JSON with the attributes of `Scores`, the report of a compilation, or an evaluation.

    Args:
        file: Such as `report.json` or `evaluation.json`.
        program: The folder of the saved program whose scores they are. An evaluation has those of several, and a report
            is of the program that its compilation returned.
        task: The one that counts, where an evaluation has several.

    Raises:
        ValueError: The file holds something else, or nothing of this program; the message says what.
        OSError: It cannot be read.
        SavedProgramError: The folder holds no program that can be made here, as finding it in an evaluation needs.
    """
    try:
        data = json.loads(file.read_bytes())
        if _has(data, "tasks", "figures", "rows"):
            found = evaluation_scores(data, str(file), program, task)
        elif _has(data, "primary", "test", "settings"):
            if program is not None:
                _check_returned(data, str(file), program)
            found = report_scores(data)
        else:
            found = Scores.model_validate(data)
    except (UnfitError, SavedProgramError):
        raise
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, one['loc'])) or 'the file'}: {one['msg']}" for one in error.errors())
    except (ValueError, KeyError, TypeError) as error:
        wrong = f"{type(error).__name__}: {error}"
    else:
        return found
    raise ValueError(
        f"{file} holds no scores of a version: {wrong}. It needs task, figure, value, n and digest; for a paired"
        " comparison also rows of record, group and score. The report.json of a compilation will do, and so will the"
        " evaluation.json of an evaluation"
    )


def report_scores(report: Data) -> Scores:
    """What the program that a compilation returned scored on its test records, which no strategy saw.

    Args:
        report: The JSON data of its report.
    """
    test, settings = report["test"], report["settings"]
    drawn = f", {test['records']} drawn by seed {settings['seed']}" if settings.get("limit") else ""
    rows = [{**row, "score": row["after"]} for row in test.get("rows", ())]
    found = {
        "task": report["task"],
        "figure": report["primary"],
        "digest": test["digest"] + drawn,
        "split": test["name"],
        "source": str(settings.get("data") or "sample"),
        "higher_is_better": report["higher_is_better"],
        "scorer": report["scorer"],
    }
    return Scores.model_validate({**found, **_figures(test["after"]), "rows": _rows(rows)})


def _check_returned(report: Data, name: str, program: Path) -> None:
    """See that a report is a program's.

    Raises:
        UnfitError: It is another one's.
    """
    if report["settings"].get("program after") not in _digests(program, None):
        raise UnfitError(
            f"{name} is of another program than the one in {program}, whose scores they would become; give the report"
            " of the compilation that made it, or evaluate it with --program"
        )


def evaluation_scores(evaluation: Data, name: str, program: Path | None, task: str | None = None) -> Scores:
    """What a saved program scored in an evaluation.

    Args:
        evaluation: The JSON data of what was found.
        name: What the evaluation is called in errors.
        program: The folder of the saved program.
        task: The one that counts, where there are several.

    Raises:
        UnfitError: The program is none of its methods, or has figures of several tasks.
    """
    found = _of_program(evaluation, name, program, task)
    of_task = next(one for one in evaluation["tasks"] if one["name"] == found["task"])
    mine = [row for row in evaluation["rows"] if (row["task"], row["method"]) == (found["task"], found["method"])]
    described = {
        "task": of_task["name"],
        "figure": of_task["primary"],
        "digest": of_task["digest"],
        "split": of_task["split"] or "all",
        "source": of_task["data"],
        "higher_is_better": of_task["higher_is_better"],
        "scorer": of_task["scorer"],
    }
    return Scores.model_validate({**described, **_figures(found["figures"]), "rows": _rows(mine)})


def _of_program(evaluation: Data, name: str, program: Path | None, task: str | None) -> Data:
    """The figures of a program."""
    if program is None:
        raise UnfitError(f"{name} is an evaluation, of several methods; say which saved program is meant")
    wanted = set(_digests(program, evaluation["settings"].get("seed")))
    mine = [one for one in evaluation["figures"] if one["program"] in wanted and task in (None, one["task"])]
    if not mine:
        there = ", ".join(dict.fromkeys(f"{one['method']} on {one['task']}" for one in evaluation["figures"]))
        raise UnfitError(
            f"{name} has no figures of the program in {program}{f' on {task}' if task else ''}; it has {there}."
            " Evaluate that program with --program"
        )
    tasks = list(dict.fromkeys(one["task"] for one in mine))
    if len(tasks) > 1:
        raise UnfitError(f"{name} has figures of {', '.join(tasks)}; say which one counts with --task")
    return mine[0]


def _digests(program: Path, seed: int | None) -> list[str]:
    """The digests that a saved program has in evaluations: as it is, and with LMs that draw by the seed."""
    made = load(program)
    found = [program_digest(made)]
    for _, lm in made.named_sub_modules(dspy.BaseLM):
        lm.kwargs["seed"] = seed
    return [*found, program_digest(made)]


def _figures(figures: Data) -> dict[str, Any]:
    """The first figure, and the values of the others by name."""
    first, *others = figures.values()
    return {
        **{name: first[name] for name in ("value", "low", "high", "n")},
        "others": {other["name"]: other["value"] for other in others if other["value"] is not None},
    }


def _rows(rows: Iterable[Data]) -> list[dict[str, Any]]:
    """The rows that count; those that were left out or failed have no score."""
    return [{name: row[name] for name in ("record", "group", "score")} for row in rows if row["score"] is not None]


def _has(data: Any, *names: str) -> bool:
    return isinstance(data, dict) and set(names) <= data.keys()
