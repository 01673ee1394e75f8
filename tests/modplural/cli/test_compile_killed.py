"""A compilation that is stopped in whatever way ends, by the same command, as one that was left alone."""

import json
import math
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
import math, os, signal, time
import modplural.cli
from modplural.data import load_task
from modplural.optimizers.compilation.trials import TrialLog
from modplural.programs import building, lms, saving
from modplural.programs.engines.fake import fake_lm

gold = {}
for example in load_task("distributional-moralchoice").examples():
    gold |= example.gold_distribution

def likelihood(prompt, continuation):
    return math.log(0.3 + 0.4 * gold.get(continuation.strip(), 0.5))  # right, and far too unsure

def build(config):
    return fake_lm({"": "Kindness."}, likelihood, name=config.model, cache=True)

signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in a shell's background

write = TrialLog.write

def write_and_wait(log):
    write(log)
    if len(log.trials) >= float(os.environ["WAITS_AT"]):
        time.sleep(300)  # until it is stopped: on no machine is it done before

TrialLog.write = write_and_wait
for module in (building, lms, saving):
    module.build_lm = build
modplural.cli.main()
"""

STUCK = 300
"""Seconds after which something waits for ever."""


def command(output: str, pool: Path) -> list[str]:
    return [
        *(sys.executable, "-c", SCRIPT, "compile", "distributional", "--task", "distributional-moralchoice"),
        *("--strategy", "measurement", "--limit", "15", "--workers", "8", "--pool", str(pool), "--output", output),
        *("--register", output, "--promote", "--traces", "0"),
    ]


def start(arguments: list[str], folder: Path, waits_at: float = math.inf) -> subprocess.Popen[str]:
    """Begin the compilation, or go on with it; it waits to be stopped when so many trials are on disk."""
    environment = {**os.environ, "DSPY_CACHEDIR": str(folder / "cache"), "WAITS_AT": str(waits_at)}
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
    for name in ("seconds", "load", "run_id", "tokens", "estimate"):
        del report[name]
    for trial in report["trials"]:
        del trial["calls"], trial["seconds"]
    return report


def compilations() -> list[Any]:
    """The runs of compilations in MLflow, without those of trials."""
    client = tracking_client()
    experiment = client.get_experiment_by_name(EXPERIMENT)
    assert experiment is not None
    return [run for run in client.search_runs([experiment.experiment_id]) if "mlflow.parentRunId" not in run.data.tags]


def stopped(moment: int, how: signal.Signals, pool: Path, folder: Path) -> str:
    """Begin the compilation, or go on with it, and stop it when so many trials are there; what it said."""
    process = start(command("stopped", pool), folder, moment)
    began = time.monotonic()
    while trials(folder / "stopped") < moment:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - began < STUCK
        time.sleep(0.01)
    process.send_signal(how)
    return process.communicate(timeout=STUCK)[1]


@pytest.mark.slow
def test_whoever_is_stopped_ends_as_though_nothing_had_happened(store: Path, pool_file: Path, tmp_path: Path) -> None:
    finish(start(command("whole", pool_file), tmp_path))
    stopped(0, signal.SIGKILL, pool_file, tmp_path)
    assert "the same command goes on" in stopped(2, signal.SIGINT, pool_file, tmp_path)
    assert sorted(run.info.status for run in compilations()) == ["FINISHED", "KILLED"]

    said = finish(start(command("stopped", pool_file), tmp_path))
    assert "models:/stopped@champion is stopped/1 now: the first champion." in said
    assert found(tmp_path / "stopped") == found(tmp_path / "whole")
    assert [version.number for version in versions("stopped")] == [1]
    assert [run.info.status for run in compilations()] == ["FINISHED"] * 2, "it went on in its run"
