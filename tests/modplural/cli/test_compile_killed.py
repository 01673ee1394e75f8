"""A compilation that is killed at any moment ends, by the same command, as one that was left alone; also registered."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from modplural.optimizers.compilation import REPORT
from modplural.optimizers.compilation.compilation_run import EXPERIMENT
from modplural.optimizers.tracking import tracking_client
from modplural.optimizers.versions import versions

SCRIPT = """
import math, sys
import modplural.cli
from modplural.data import load_task
from modplural.programs import building, lms, saving
from modplural.programs.engines.fake import fake_lm

gold = {}
for example in load_task("distributional-moralchoice").examples():
    gold |= example.gold_distribution

def likelihood(prompt, continuation):
    return math.log(max(0.05, gold.get(continuation.strip(), 0.5)))

def build(config):
    # Delays bound the speed: on no machine is it done before the last kill.
    return fake_lm({"": "Kindness."}, likelihood, name=config.model, cache=True, delays={"": 0.004})

for module in (building, lms, saving):
    module.build_lm = build
modplural.cli.main()
"""

STUCK = 300
"""Seconds after which something waits for ever."""


def command(output: str, pool: Path) -> list[str]:
    return [
        *(sys.executable, "-c", SCRIPT, "compile", "distributional", "--task", "distributional-moralchoice"),
        *("--strategy", "measurement", "--limit", "12", "--pool", str(pool), "--output", output),
        *("--register", output, "--promote", "--traces", "0"),
    ]


def start(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    environment = {**os.environ, "DSPY_CACHEDIR": str(folder / "cache")}
    return subprocess.Popen(
        arguments, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process: subprocess.Popen[str]) -> str:
    said, errors = process.communicate(timeout=STUCK)
    assert process.returncode == 0, errors
    return said


def trials(folder: Path) -> int:
    """How many trials are on disk."""
    file = folder / "trials.json"
    return len(json.loads(file.read_bytes())["trials"]) if file.is_file() else -1


def found(folder: Path) -> Any:
    """What a compilation found, but for what depends on the clock, and on how often it was begun."""
    report = json.loads((folder / REPORT).read_bytes())
    for name in ("seconds", "load", "run_id", "tokens", "estimate", "trials"):
        del report[name]
    return report


def compilations() -> list[Any]:
    """The runs of compilations in MLflow, without those of trials."""
    client = tracking_client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return [run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in run.data.tags]


@pytest.mark.slow
def test_kills_lose_nothing_and_register_nothing_twice(store: Path, pool_file: Path, tmp_path: Path) -> None:
    finish(start(command("whole", pool_file), tmp_path))
    for moment in (-1, 1, 3):
        process = start(command("killed", pool_file), tmp_path)
        began = time.monotonic()
        while trials(tmp_path / "killed") <= moment:
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() - began < STUCK
            time.sleep(0.01)
        process.kill()
        process.communicate(timeout=STUCK)
    said = finish(start(command("killed", pool_file), tmp_path))
    assert "models:/killed@champion is killed/1 now: the first champion." in said
    assert found(tmp_path / "killed") == found(tmp_path / "whole")
    assert [version.number for version in versions("killed")] == [1]
    runs = compilations()
    assert len(runs) == 2, "the compilation that was killed went on in its run"
    assert {run.info.status for run in runs} == {"FINISHED"}
    again = finish(start(command("killed", pool_file), tmp_path))
    assert "Registered models:/killed/1" in again
    assert [version.number for version in versions("killed")] == [1]


@pytest.mark.slow
def test_ctrl_c_says_so_in_the_run_and_the_same_command_goes_on(store: Path, pool_file: Path, tmp_path: Path) -> None:
    process = start(command("stopped", pool_file), tmp_path)
    began = time.monotonic()
    while trials(tmp_path / "stopped") < 1:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - began < STUCK
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=STUCK)
    assert process.returncode == 130
    assert "the same command goes on" in errors
    (run,) = compilations()
    assert run.info.status == "KILLED"
    finish(start(command("stopped", pool_file), tmp_path))
    (run,) = compilations()
    assert run.info.status == "FINISHED"
