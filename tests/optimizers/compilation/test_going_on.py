"""A compilation that goes on: what it refuses to take over, and what it remembers."""

from pathlib import Path
from typing import Any

import pytest

from modplural.optimizers.compilation import compile
from modplural.optimizers.compilation.job import STATE
from modplural.optimizers.compilation.trials import Trial, TrialLog
from modplural.optimizers.journal import RunUsageError
from modplural.optimizers.metrics import NLIScorer
from modplural.programs.overton import Overton
from modplural.programs.saving import SavedProgramError

from .conftest import SAID


def compiled(program: Overton, **settings: Any) -> Any:
    return compile(program, "overton-vk", **{"strategy": "synthesis", "metric": SAID, "limit": 6, **settings})


def test_scores_of_another_scorer_are_not_taken_over(overton: Overton, tmp_path: Path) -> None:
    compiled(overton, scorer=NLIScorer("owner/one"), output=tmp_path)
    with pytest.raises(RunUsageError, match="scorer was nli:owner/one, is nli:owner/other"):
        compiled(overton, scorer=NLIScorer("owner/other"), output=tmp_path)


def test_a_budget_that_ended_a_search_is_remembered(overton: Overton, tmp_path: Path) -> None:
    settings = {"strategy": "instructions", "max_calls": 150, "output": tmp_path}
    first, again = (compiled(overton, **settings).report for _ in range(2))
    assert first.stopped
    assert (again.stopped, again.reason) == (first.stopped, first.reason)


def test_what_cannot_be_saved_is_not_compiled(overton: Overton, tmp_path: Path) -> None:
    class Mine(Overton):
        """Made somewhere that a saved program does not know."""

    mine = Mine(overton.base, overton.pool)
    with pytest.raises(SavedProgramError):
        compiled(mine, output=tmp_path)
    assert not overton.base.engine.prompts
    assert compiled(mine).report.trials, "nothing is saved without an output"


def trial(what: str, calls: int) -> Trial:
    return Trial("synthesis", what, 0.5, 6, calls, 1.0)


def test_trials_of_a_stage_that_did_not_end_give_way(tmp_path: Path) -> None:
    log = TrialLog(tmp_path / STATE)
    log.keep_trial(trial("ended", 3), {})
    log.keep_stage("1-synthesis", {}, stopped=False, compared=1, usage={})
    for what in ("joint", "refine", "never again"):
        log.keep_trial(trial(what, 5), {})

    again = TrialLog(tmp_path / STATE)
    for what in ("joint", "refine"):
        again.keep_trial(trial(what, 0), {})
    again.keep_trial(trial("per_message", 7), {})
    assert [one.what for one in again.trials] == ["ended", "never again", "joint", "refine", "per_message"]
    again.keep_stage("2-synthesis", {}, stopped=True, compared=3, usage={})
    assert [(one.what, one.calls, one.seconds) for one in TrialLog(tmp_path / STATE).trials] == [
        ("ended", 3, 1.0),
        ("joint", 5, 2.0),
        ("refine", 5, 2.0),
        ("per_message", 7, 1.0),
    ]
    kept = TrialLog(tmp_path / STATE).stage("2-synthesis")
    assert kept is not None
    assert (kept.stopped, kept.trials, kept.compared) == (True, 4, 3)
