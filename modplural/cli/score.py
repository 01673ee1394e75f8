"""`modplural score`: the figures of a file in the common format that any tool has filled."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .session import FAILED, Terminal, checking, complain, session

if TYPE_CHECKING:
    from ..optimizers.metrics import Comparison, Figure
    from ..optimizers.scoring import ComparedFiles, ScoredFile

_REASONS = 10
"""Unreadable records that are shown; JSON has all."""


@dataclass(frozen=True)
class _Baseline:
    """The file that another one is compared with."""

    path: Path
    compared: ComparedFiles


def score(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Records with answers: a JSON list.")],
    task: Annotated[
        str | None, typer.Option(metavar="NAME", help="The task of the records, where they do not show it.")
    ] = None,
    scorer: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="What scores responses: embedding, nli or judge, and after a colon the model. Embedding if not given.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Answers to the same records, to compare with.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that is known as one JSON object.")] = False,
) -> None:
    """Score the answers of any tool to the records of a benchmark file."""
    with session() as terminal:
        scored, compared = _scored(file, task, scorer, baseline)
        if as_json:
            typer.echo(json.dumps(_data(scored, compared), ensure_ascii=False, allow_nan=False))
        else:
            _show(terminal, scored, compared)
        if not scored.answers.predictions:
            complain(f"Error: {file} holds no answer that could be scored.")
            raise typer.Exit(FAILED)


def _scored(
    file: Path, task: str | None, scorer: str | None, baseline: Path | None
) -> tuple[ScoredFile, _Baseline | None]:
    from ..data import read_records
    from ..optimizers.metrics.tasks import TASK_METRICS
    from ..optimizers.scorer_names import judge_named, scorer_named
    from ..optimizers.scoring import JUDGED, compare_files, score_file

    with checking():
        name = read_records(file, task).task.name
        judged = name == JUDGED
        if judged and (scorer is None or baseline is None):
            raise ValueError(f"{JUDGED} compares responses; say with --baseline FILE and by --scorer judge:<model>")
        if scorer is not None and not name.startswith("overton-"):
            named = ", ".join(one for one in TASK_METRICS if one.startswith("overton-"))
            raise ValueError(f"{name} needs no scorer; leave out --scorer, which is for {named}")
        judge = judge_named(scorer) if judged and scorer else None
        made = scorer_named(scorer) if scorer and not judged else None
        scored = score_file(file, name, made, judge=judge, baseline=baseline)
        if baseline is None or judged:
            return scored, None
        return scored, _Baseline(baseline, compare_files(scored, score_file(baseline, name, made)))


def _show(terminal: Terminal, scored: ScoredFile, baseline: _Baseline | None) -> None:
    from . import show

    out = terminal.out
    out.print(_heading(scored), markup=False, soft_wrap=True)
    if name := scored.figures[scored.metric.primary].scorer:
        remark = f"Scored by {name}; figures of different scorers do not compare."
        out.print(remark, markup=False, soft_wrap=True)
    out.print("", _figures(scored.figures), sep="\n")
    _show_parts(terminal, scored)
    if baseline is not None:
        out.print("", _sentence(scored, baseline), sep="\n", markup=False, soft_wrap=True)
    troubles = [
        *((one.index, "unreadable answer", one.reason) for one in scored.answers.unreadable),
        *((one.index, "unreadable record", one.reason) for one in scored.records.bad),
    ]
    if troubles:
        rows = [[str(index), what, why] for index, what, why in sorted(troubles)[:_REASONS]]
        out.print("", show.listing(["record", "", ""], rows), sep="\n")
        if len(troubles) > _REASONS:
            out.print(f"and {len(troubles) - _REASONS} more; --json has all", markup=False)


def _heading(scored: ScoredFile) -> str:
    answers, records = scored.answers, scored.records
    counts = {
        "answered": len(answers.predictions),
        "without an answer": len(answers.missing),
        "with an unreadable answer": len(answers.unreadable),
        "unreadable": len(records.bad),
        "scaled to a sum of 1": len(answers.rescaled),
    }
    said = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{records.path}: {len(records.rows)} records of {records.task.name}, {said}"


def _figures(figures: Mapping[str, Figure], title: str = "figure") -> Any:
    from . import show

    rows = [[name, _number(one.value), _interval(one.low, one.high), str(one.n)] for name, one in figures.items()]
    return show.listing([title, "value", "95% interval", "n"], rows)


def _show_parts(terminal: Terminal, scored: ScoredFile) -> None:
    from ..optimizers.breakdown import FEWEST, extremes

    found = extremes(scored.parts)
    for title, figures in ((f"worst by {scored.metric.primary}", found.worst), ("best", found.best)):
        if figures:
            terminal.out.print("", _figures(figures, title), sep="\n")
    left = len(scored.parts) - len(found.worst) - len(found.best)
    if left:
        small = f", {found.small} of them with fewer than {FEWEST} records" if found.small else ""
        terminal.out.print(f"\nand {left} more{small}; --json has all", markup=False)


def _sentence(scored: ScoredFile, baseline: _Baseline) -> str:
    found, name = baseline.compared.comparison, scored.metric.primary
    if not found.n:
        return f"Compared with {baseline.path}: no record is answered in both files."
    gain = found.difference if scored.metric.higher_is_better else -found.difference
    verdict = "better" if gain > 0 else "worse" if gain < 0 else "the same"
    few = f"{found.groups} situations, too few for a p-value"
    chance = few if math.isnan(found.p_value) else f"p = {found.p_value:.2g}"
    alone = baseline.compared.only_first + baseline.compared.only_second
    left = f"; {alone} records are in one file only" if alone else ""
    return (
        f"Compared with {baseline.path}, on {found.n} records answered in both: {name} {found.difference:+.4f} "
        f"{_interval(found.low, found.high)}, {chance}, {verdict}{left}"
    )


def _data(scored: ScoredFile, baseline: _Baseline | None) -> dict[str, Any]:
    records, answers = scored.records, scored.answers
    data: dict[str, Any] = {
        "file": str(records.path),
        "digest": records.digest,
        "task": records.task.name,
        "primary": scored.metric.primary,
        "higher_is_better": scored.metric.higher_is_better,
        "records": len(records.rows),
        "answered": len(answers.predictions),
        "missing": list(answers.missing),
        "unreadable_answers": [asdict(one) for one in answers.unreadable],
        "unreadable_records": [asdict(one) for one in records.bad],
        "rescaled": list(answers.rescaled),
        "figures": {name: _plain(figure) for name, figure in scored.figures.items()},
        "by_attribute": {part: _plain(figure) for part, figure in scored.parts.items()},
        "scores": [
            {"index": index, "id": record.id, "score": _known(row)}
            for (index, record), row in zip(records.records.items(), scored.rows, strict=True)
        ],
    }
    if baseline is not None:
        data["comparison"] = {"baseline": str(baseline.path), **_plain(baseline.compared.comparison)}
        data["comparison"] |= {
            "only_here": baseline.compared.only_first,
            "only_in_baseline": baseline.compared.only_second,
        }
    return data


def _plain(measured: Figure | Comparison) -> dict[str, Any]:
    return {name: _known(value) for name, value in asdict(measured).items()}


def _known(value: Any) -> Any:
    """JSON has no word for what is not a number."""
    return None if isinstance(value, float) and math.isnan(value) else value


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.4f}"


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"[{low:.4f}, {high:.4f}]"
