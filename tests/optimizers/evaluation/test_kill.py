"""An evaluation that is killed at any moment goes on as though nothing had happened."""

import json
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

RECORDS, KILLS, WORKERS = 200, 10, 6
STUCK = 600
"""Seconds after which something is waiting for ever; how fast the machine is, with whatever else it does, is no
part of what is tested."""
CPU_SECONDS = 60
"""What all of it may take of a processor: other work on the machine changes little of that."""
METHODS = ("vanilla", "prompted", "mixture_of_experts", "modular")

SCRIPT = f"""
import json, math, sys
from pathlib import Path
from modplural.data import read_records
from modplural.optimizers.evaluation import Plan, evaluate, make_methods
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.pool import CommunityPool

def likelihood(prompt, text):
    return -(sum(map(ord, prompt + text)) % 7) - 1.0

def comment(request):
    text = prompt_text(request)
    with open("messages.log", "a") as log:
        log.write(json.dumps(text) + chr(10))
    return f"Of {{sum(map(ord, text))}} words."

# Delays bound the speed: on no machine is it done before the last kill.
base = fake_lm(likelihoods=likelihood, name="base", delays={{"": 0.02}})
voice = fake_lm(comment, name="voice", delays={{"": 0.02}})
pool = CommunityPool(CommunityLM(name, voice, persona=f"For {{name}}.") for name in ("care", "fairness"))
plan = Plan(read_records("records.json"), make_methods({METHODS}, "distributional", base, pool))
print("ready", flush=True)
evaluate([plan], sys.argv[1], workers={WORKERS})
"""


def start(folder: Path, output: str) -> subprocess.Popen[str]:
    """Begin an evaluation in a process of its own; it is about to open its file."""
    arguments = [sys.executable, "-c", SCRIPT, output]
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def finish(process: subprocess.Popen[str]) -> None:
    _, errors = process.communicate(timeout=STUCK)
    assert process.returncode == 0, errors


def kept(path: Path) -> dict[str, list[Any]]:
    """All rows and messages in the file, with what LMs were asked for them, but for how long it took."""
    with closing(sqlite3.connect(path / "evaluation.sqlite")) as file:
        results = "SELECT key, program, record, prediction, error, usage FROM results ORDER BY key"
        messages = "SELECT * FROM messages ORDER BY key"
        return {"results": list(file.execute(results)), "messages": list(file.execute(messages))}


def done(path: Path) -> int:
    """Number of rows in the file; none where it was not begun yet."""
    try:
        return len(kept(path)["results"])
    except sqlite3.OperationalError:
        return 0


def wait_for(rows: int, path: Path, process: subprocess.Popen[str]) -> None:
    """Wait until the file has more rows than so many."""
    began = time.monotonic()
    while done(path) <= rows:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() - began < STUCK, "it does not get on"
        time.sleep(0.01)


def found(path: Path) -> Any:
    """What the evaluation found, but for how long it took."""
    evaluation = json.loads((path / "evaluation.json").read_bytes())
    for row in evaluation["rows"]:
        del row["seconds"]
    return evaluation


def cpu_seconds() -> float:
    """What processes that were started from here and have ended took of a processor."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_ten_kills_lose_nothing_and_do_nothing_twice(tmp_path: Path) -> None:
    question = {"options": ["I stay.", "I go."], "attribute": "low_ambiguity", "gold_distribution": [1.0, 0.0]}
    rows = [{"id": number, "question": f"Situation {number}?", **question} for number in range(RECORDS)]
    (tmp_path / "records.json").write_text(json.dumps(rows))
    began = cpu_seconds()
    finish(start(tmp_path, "undisturbed"))
    messages_log = tmp_path / "messages.log"
    assert len(messages_log.read_text().splitlines()) == 2 * RECORDS
    messages_log.unlink()

    moments = random.Random(7)
    progress = []
    for number in range(KILLS):
        process = start(tmp_path, "killed")
        if number % 2:  # others are killed while the file is made or opened
            wait_for(done(tmp_path / "killed"), tmp_path / "killed", process)
        time.sleep(moments.uniform(0, 0.4))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL, "it ended before it was killed; give it more to do"
        progress.append(done(tmp_path / "killed"))
    assert progress == sorted(progress), "a row was lost"
    assert len(set(progress)) > KILLS // 2
    assert progress[-1] < len(METHODS) * RECORDS
    finish(start(tmp_path, "killed"))

    assert kept(tmp_path / "killed") == kept(tmp_path / "undisturbed")
    assert len(kept(tmp_path / "killed")["results"]) == len(METHODS) * RECORDS
    assert found(tmp_path / "killed") == found(tmp_path / "undisturbed")
    # Only what was on its way at a kill was asked for again.
    asked = messages_log.read_text().splitlines()
    assert 2 * RECORDS <= len(asked) <= 2 * RECORDS + KILLS * WORKERS * 2
    print(f"rows after each kill: {progress}; {len(asked) - 2 * RECORDS} messages asked twice")
    assert cpu_seconds() - began < CPU_SECONDS
