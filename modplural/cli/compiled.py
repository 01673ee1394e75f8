"""What becomes of a compilation on the command line: shown, registered as a version, made the champion."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .session import Terminal

if TYPE_CHECKING:
    from ..optimizers.compilation import CompileReport


def show_report(terminal: Terminal, report: CompileReport, folder: Path) -> None:
    """Print what decides, the figures before and after, and where the rest is."""
    from ..optimizers.compilation import PROGRAM, REPORT_TEXT, report_text
    from ..optimizers.tracking import shown_store
    from . import show

    title = "The winner is kept" if report.kept else "The student is returned"
    terminal.out.print(f"{title}: {report.reason}.", markup=False, soft_wrap=True)
    for part in report.parts:
        terminal.out.print("", show.listing([part.name, "before", "after"], report_text.part_rows(part)), sep="\n")
        if part.comparison.n and report.kept:
            said = f"After minus before: {report_text.compared(part.comparison)}."
            terminal.out.print(said, markup=False, soft_wrap=True)
        if failed := report_text.failures(part):
            terminal.out.print(failed, markup=False, soft_wrap=True)
        if part.beside:
            beside = show.listing(report_text.BESIDE_COLUMNS, report_text.beside_rows(part, report.primary))
            terminal.out.print("", beside, sep="\n")
    places = {"program": folder / PROGRAM, "report": folder / REPORT_TEXT}
    said = "".join(f"\nThe {what}: {place}" for what, place in places.items())
    if report.run_id is not None:
        said += f"\nThe MLflow run: {report.run_id} in {shown_store()}, which 'modplural ui' shows"
    terminal.out.print(said, markup=False, soft_wrap=True)


def register_compiled(terminal: Terminal, report: CompileReport, folder: Path, name: str, promote: bool) -> None:
    """Register what was compiled, once however often the command is given, and perhaps make it the champion."""
    from ..optimizers.compilation import PROGRAM, REPORT
    from ..optimizers.tracking import opened_run
    from ..optimizers.versions import PromotionError, read_scores, register
    from ..optimizers.versions import promote as promote_version
    from .versions import show_promotion

    if not report.kept:
        said = f"Nothing is registered as {name}: the program is the student; 'modplural versions register' takes it."
        terminal.out.print(f"\n{said}", markup=False, soft_wrap=True)
        return
    run = opened_run(report.run_id or "")
    version = register(folder / PROGRAM, name, read_scores(folder / REPORT), run=run, again=False)
    said = f"\nRegistered {version.uri}, which modplural.load takes."
    terminal.out.print(said, markup=False, soft_wrap=True)
    if not promote or "champion" in version.aliases:
        return
    try:
        show_promotion(terminal, promote_version(f"{name}/{version.number}"))
    except PromotionError as error:
        terminal.out.print(f"It is not the champion: {error}.", markup=False, soft_wrap=True)
