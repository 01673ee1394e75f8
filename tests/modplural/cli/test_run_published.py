"""`modplural run` on published records, by the embedded LM, in processes of their own; one of them is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from modplural.data import TASKS
from modplural.optimizers import journal_path

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        "MODPLURAL_BENCHMARKS" not in os.environ,
        reason="needs the published benchmark files: set MODPLURAL_BENCHMARKS to their folder",
    ),
]

PUBLISHED = {
    "overton_valuekaleidoscope.json": "overton-vk",
    "steerable_valuekaleidoscope.json": "steerable-vk",
    "steerable_opinionqa.json": "steerable-opinionqa",
    "distributional_moralchoice.json": "distributional-moralchoice",
    "distributional_globalopinionqa.json": "distributional-globalopinionqa",
}
KILLED = "distributional_moralchoice.json"
RECORDS = 8

POOL = """\
base: {model: local/smollm2-135m-instruct, max_tokens: 12}
communities:
  - {name: care, description: Those who care., persona: Say in few words who might be hurt., max_tokens: 12}
  - {name: fairness, description: Those who are fair., persona: Say in few words what is fair., max_tokens: 12}
"""


def command(name: str, folder: Path, workers: int) -> list[str]:
    """Run the first records of a published file with two communities that say little."""
    pool = folder / "pool.yaml"
    pool.write_text(POOL, encoding="utf-8")
    records = Path(os.environ["MODPLURAL_BENCHMARKS"], name)
    mode = TASKS[PUBLISHED[name]].mode
    limits = ("--limit", str(RECORDS), "--workers", str(workers), "--seed", "1")
    main = "from modplural.cli import main; main()"
    return [sys.executable, "-c", main, "run", str(records), "--mode", mode, "--pool", str(pool), *limits,
            "--output", str(folder / name)]  # fmt: skip


def complete(arguments: Sequence[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def journaled(output: Path) -> list[int]:
    """Indices of the records in a journal, in the order of its whole lines."""
    lines = journal_path(output).read_bytes().splitlines(keepends=True) if journal_path(output).exists() else []
    entries = [json.loads(line)["entry"] for line in lines if line.endswith(b"\n")]
    return [entry["index"] for entry in entries if "index" in entry]


def assert_filled(output: Path, name: str) -> None:
    """Every row has an answer of the right kind and is otherwise as published."""
    record = TASKS[PUBLISHED[name]].record
    published = json.loads(Path(os.environ["MODPLURAL_BENCHMARKS"], name).read_bytes())[:RECORDS]
    rows: list[dict[str, Any]] = json.loads(output.read_bytes())
    assert [{**row, record.record_key: None} for row in rows] == published
    for row in rows:
        answer = row[record.record_key]
        if record.prediction_field == "probabilities":
            assert len(answer) == len(row["options"])
            assert sum(answer) == pytest.approx(1)
        else:
            assert answer in ("A", "B", "C") if record.prediction_field == "option" else answer.strip()


@pytest.mark.usefixtures("smollm2")
@pytest.mark.parametrize("name", sorted(PUBLISHED.keys() - {KILLED}))
def test_published_records_are_answered(name: str, tmp_path: Path) -> None:
    said = complete(command(name, tmp_path, workers=RECORDS))
    assert f"{RECORDS} records of {PUBLISHED[name]}" in said
    assert_filled(tmp_path / name, name)


@pytest.mark.usefixtures("smollm2")
def test_a_killed_run_asks_nothing_twice(tmp_path: Path) -> None:
    output, arguments = tmp_path / KILLED, command(KILLED, tmp_path, workers=1)
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 300
        while len(journaled(output)) < 2:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    kept = journaled(output)
    assert 2 <= len(kept) < RECORDS
    assert not output.exists()
    assert f"{RECORDS - len(kept)} answered now, {len(kept)} answered before" in complete(arguments)
    assert journaled(output)[: len(kept)] == kept
    assert sorted(journaled(output)) == list(range(RECORDS))
    assert_filled(output, KILLED)
