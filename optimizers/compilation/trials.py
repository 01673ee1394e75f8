"""What a compilation has tried so far, kept as one JSON file, so that it goes on where it was stopped.

The file is written anew after each trial, whole or not at all. What LMs answered is not in it: that is in DSPy's cache.
This file knows scores and states as data; it must not know programs or strategies.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from ...data import write_atomic
from ..evaluation.usage import Tokens, Usage
from ..journal import RunUsageError

FORMAT = 2


@dataclass(frozen=True)
class Trial:
    """One candidate and what it scored.

    Attributes:
        stage: The strategy that tried it.
        what: The candidate, in a few words.
        score: Mean score from 0 to 1, higher being better.
        n: Number of examples.
        calls: LM calls that it took; answers from a cache are none.
        seconds: How long it took.
        failed: Examples that it failed on; they have the worst score.
    """

    stage: str
    what: str
    score: float
    n: int
    calls: int
    seconds: float
    failed: int = 0


class Stage(NamedTuple):
    """How a stage ended.

    Attributes:
        state: Of the program that it ended with.
        stopped: Whether the budget ended it.
        trials: Trials that were made by then, with those of the stages before it.
        compared: Candidates among which the dev examples chose.
    """

    state: dict[str, Any]
    stopped: bool
    trials: int
    compared: int


class TrialLog:
    """Trials, scores of rows, and the states that stages ended with; in a file where there is one.

    Attributes:
        trials: In the order in which they were made. One that a stage which had not ended makes anew takes the place
            of the earlier one, and what that took is added.
        usage: What LMs were asked up to the last trial that was kept.
        notes: What else a resumed compilation has to know, by name.
    """

    def __init__(self, path: Path | None = None, header: Mapping[str, Any] | None = None) -> None:
        """Open a file or start one.

        Raises:
            RunUsageError: The file is of another compilation; the message names the first difference.
        """
        self._path = path
        self._header = dict(header or {})
        self._rows: dict[str, dict[str, float | None]] = {}
        self._stages: dict[str, Stage] = {}
        self._unended: list[Trial] = []
        self.trials: list[Trial] = []
        self.usage: Usage = {}
        self.notes: dict[str, Any] = {}
        if path is not None and path.exists():
            self._read(path)

    @staticmethod
    def read_notes(path: Path) -> dict[str, Any]:
        """The notes of a file, whatever compilation it is of; none where there is no such file."""
        if not path.is_file():
            return {}
        notes: dict[str, Any] = json.loads(path.read_bytes()).get("notes", {})
        return notes

    def row(self, program: str, example: str) -> float | None:
        """The score of a program on an example, by their digests; NaN where it is left out, None where not known."""
        known = self._rows.get(program, {})
        return None if example not in known else _number(known[example])

    def keep_rows(self, program: str, scores: Mapping[str, float]) -> None:
        """Remember scores of a program, by the example's digest."""
        kept = {example: None if math.isnan(score) else score for example, score in scores.items()}
        self._rows.setdefault(program, {}).update(kept)

    def keep_trial(self, trial: Trial, usage: Usage) -> None:
        """Remember a trial; it is on disk when this returns."""
        earlier = next((one for one in self._unended if _same(one, trial)), None)
        if earlier is not None:
            self._unended.remove(earlier)
            self.trials.remove(earlier)
            trial = replace(trial, calls=trial.calls + earlier.calls, seconds=trial.seconds + earlier.seconds)
        self.trials.append(trial)
        self.usage = usage
        self.write()

    def stage(self, name: str) -> Stage | None:
        """How a stage ended; None where it has not."""
        return self._stages.get(name)

    def keep_stage(self, name: str, state: Mapping[str, Any], *, stopped: bool, compared: int, usage: Usage) -> None:
        """Remember how a stage ended; it is on disk when this returns."""
        for never_again in self._unended:
            self.trials.remove(never_again)
        self._unended = []
        self._stages[name] = Stage(dict(state), stopped, len(self.trials), compared)
        self.usage = usage
        self.write()

    def write(self) -> None:
        """Write the file, where there is one."""
        if self._path is None:
            return
        content = {
            "format": FORMAT,
            "header": self._header,
            "usage": {model: tokens._asdict() for model, tokens in self.usage.items()},
            "notes": self.notes,
            "trials": [asdict(trial) for trial in self.trials],
            "stages": {name: stage._asdict() for name, stage in self._stages.items()},
            "rows": self._rows,
        }
        write_atomic(self._path, json.dumps(content, indent=1, allow_nan=False).encode() + b"\n")

    def _read(self, path: Path) -> None:
        try:
            content = json.loads(path.read_bytes())
            found = content["header"] if content["format"] == FORMAT else None
        except (ValueError, TypeError, KeyError):
            found = None
        if found is None:
            raise RunUsageError(f"{path} is not the state of a compilation that this version can continue")
        differing = _differences(found, self._header)
        if differing:
            raise RunUsageError(
                f"{path} belongs to another compilation: {'; '.join(differing)}. Choose another output, or remove it"
            )
        self.trials = [Trial(**trial) for trial in content["trials"]]
        self.usage = {model: Tokens(**tokens) for model, tokens in content["usage"].items()}
        self.notes, self._rows = content["notes"], content["rows"]
        self._stages = {name: Stage(**stage) for name, stage in content["stages"].items()}
        self._unended = self.trials[max((stage.trials for stage in self._stages.values()), default=0) :]


def mean(scores: Sequence[float]) -> float:
    """The mean without what is left out; NaN where nothing is left."""
    kept = [score for score in scores if not math.isnan(score)]
    return math.fsum(kept) / len(kept) if kept else math.nan


def _same(one: Trial, other: Trial) -> bool:
    return (one.stage, one.what, one.n) == (other.stage, other.what, other.n)


def _number(kept: float | None) -> float:
    return math.nan if kept is None else kept


def _differences(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[str]:
    names = [name for name in {**found, **wanted} if found.get(name) != wanted.get(name)]
    return [f"{name} was {found.get(name, 'absent')}, is {wanted.get(name, 'absent')}" for name in names[:3]]
