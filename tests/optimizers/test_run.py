"""Running a program over a file: what is filled, what is reported, and what a restart takes over."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.data import TASKS, encode_rows
from modplural.optimizers.run import FailedRecord, Progress, RunError, RunUsageError, journal_path, run_file
from modplural.programs.engines.fake import fake_lm
from modplural.programs.overton import Overton as RealOverton
from modplural.programs.pool import CommunityPool

SLOW_RUN = """
import sys, time
from pathlib import Path
import dspy
from modplural.optimizers.run import run_file

class Slow(dspy.Module):
    def forward(self, query, attribute=None, options=None):
        with open("calls.log", "a") as log:
            log.write(query + "\\n")
        time.sleep(float(sys.argv[1]))
        return dspy.Prediction(response=query.upper())

report = run_file(Slow(), "records.json", "out.json", workers=2)
print(report.answered, report.resumed)
"""


class Stub(dspy.Module):
    """Answers in every mode, fails on queries in `failing`, and remembers what it was called with."""

    def __init__(self, *failing: str, **predicted: Any) -> None:
        super().__init__()
        self._failing = set(failing)
        self._predicted = predicted
        self._calls: list[dict[str, Any]] = []

    def forward(self, query: str, attribute: str | None = None, options: list[str] | None = None) -> dspy.Prediction:
        self._calls.append({"query": query, "attribute": attribute, "options": options})
        if query in self._failing:
            raise TimeoutError(f"no reply about {query}")
        if options is None:
            return dspy.Prediction(response=f"On {query}.", **self._predicted)
        shares = {option: 1 / len(options) for option in options}
        return dspy.Prediction(option=options[-1], probabilities=shares, **self._predicted)

    def asked(self) -> list[str]:
        """The queries since the last look, sorted."""
        calls, self._calls = self._calls, []
        return sorted(call["query"] for call in calls)


def situation(number: int) -> dict[str, Any]:
    query = f"query {number}"
    return {
        "id": number,
        "situation": query,
        "vrd": ["Joy"],
        "explanation": ["It is fun."],
        "input": query,
        "output": None,
    }


def question(options: list[str]) -> dict[str, Any]:
    gold = [1 / len(options)] * len(options)
    return {"id": "q", "question": "Tea?", "options": options, "attribute": "Atlantis", "gold_distribution": gold}


def save(folder: Path, rows: list[Any]) -> Path:
    path = folder / "records.json"
    path.write_bytes(encode_rows(rows))
    return path


def load(path: Path) -> list[Any]:
    return json.loads(path.read_bytes())


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return save(tmp_path, [situation(number) for number in range(6)])


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "results" / "out.json"


def test_every_row_is_filled_in_order_and_the_rest_kept(records: Path, output: Path) -> None:
    report = run_file(Stub(), records, output)
    assert load(output) == [{**situation(number), "output": f"On query {number}."} for number in range(6)]
    assert (report.task, report.rows, report.answered, report.resumed) == ("overton-vk", 6, 6, 0)
    assert report.complete


def test_the_call_carries_what_the_record_has(tmp_path: Path, output: Path) -> None:
    program = Stub()
    run_file(program, save(tmp_path, [question(["Yes", "No"])]), output)
    assert program._calls == [{"query": "Tea?", "attribute": "Atlantis", "options": ["Yes", "No"]}]
    assert load(output)[0]["pred_distribution"] == [0.5, 0.5]


def test_one_option_is_filled_without_asking(tmp_path: Path, output: Path) -> None:
    program = Stub()
    report = run_file(program, save(tmp_path, [question(["Yes"]), question(["Yes", "No"])]), output)
    assert len(program.asked()) == 1
    assert report.settled == (0,)
    assert load(output)[0]["pred_distribution"] == [1.0]


def test_bad_and_failing_records_are_reported_while_the_rest_goes_on(tmp_path: Path, output: Path) -> None:
    records = save(tmp_path, [situation(0), "nonsense", situation(2), {**situation(3), "output": "stale", "input": 3}])
    report = run_file(Stub("query 2"), records, output)
    assert [row["output"] if isinstance(row, dict) else row for row in load(output)] == [
        "On query 0.",
        "nonsense",
        None,
        None,
    ]
    assert report.failed == (FailedRecord(2, 2, "TimeoutError: no reply about query 2"),)
    assert [bad.index for bad in report.bad] == [1, 3]
    assert not report.complete


def test_a_restart_retries_what_failed_and_nothing_else(records: Path, output: Path) -> None:
    program = Stub("query 2", "query 4")
    assert len(run_file(program, records, output).failed) == 2
    program.asked()
    program._failing.discard("query 4")
    report = run_file(program, records, output)
    assert program.asked() == ["query 2", "query 4"]
    assert (report.answered, report.resumed, [failed.index for failed in report.failed]) == (1, 4, [2])
    assert load(output)[4]["output"] == "On query 4."


def test_a_larger_limit_goes_on_and_a_smaller_one_loses_nothing(records: Path, output: Path) -> None:
    program = Stub()
    assert run_file(program, records, output, limit=4).rows == len(load(output)) == 4
    assert run_file(program, records, output).answered == 2
    assert run_file(program, records, output, limit=1).resumed == len(load(output)) == 1
    assert run_file(program, records, output).answered == 0
    assert program.asked() == [f"query {number}" for number in range(6)]


def test_a_killed_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    save(tmp_path, [situation(number) for number in range(12)])
    (tmp_path / "script.py").write_text(SLOW_RUN)
    journal = journal_path(tmp_path / "out.json")
    with subprocess.Popen([sys.executable, "script.py", "0.2"], cwd=tmp_path) as process:
        wait_for_lines(journal, 4)
        process.send_signal(signal.SIGKILL)
    journaled = [json.loads(line)["entry"]["index"] for line in journal.read_bytes().splitlines()[1:]]
    assert 3 <= len(journaled) < 12
    assert not (tmp_path / "out.json").exists()
    (tmp_path / "calls.log").unlink()

    again = subprocess.run([sys.executable, "script.py", "0"], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert again.stdout.split() == [str(12 - len(journaled)), str(len(journaled))]
    asked = (tmp_path / "calls.log").read_text().splitlines()
    assert sorted(asked) == sorted(f"query {number}" for number in set(range(12)) - set(journaled))
    assert [row["output"] for row in load(tmp_path / "out.json")] == [f"QUERY {number}" for number in range(12)]


def wait_for_lines(path: Path, count: int) -> None:
    for _ in range(300):
        if path.exists() and path.read_bytes().count(b"\n") >= count:
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not reach {count} lines")


def test_an_interrupted_run_keeps_what_was_under_way(records: Path, output: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done == 2:
            raise KeyboardInterrupt

    program = Stub()
    with pytest.raises(KeyboardInterrupt):
        run_file(program, records, output, workers=1, on_progress=interrupt)
    first = program.asked()
    assert len(first) >= 2
    assert run_file(program, records, output).resumed == len(first)
    assert sorted(first + program.asked()) == [f"query {number}" for number in range(6)]


def test_records_are_under_way_together_and_written_in_order(records: Path, output: Path) -> None:
    class Together(Stub):
        def forward(self, query: str, **kwargs: Any) -> dspy.Prediction:
            barrier.wait(timeout=10)
            time.sleep(0.01 * (6 - int(query.split()[1])))
            return dspy.Prediction(response=query)

    barrier = threading.Barrier(3)
    run_file(Together(), records, output, workers=3)
    assert [row["output"] for row in load(output)] == [f"query {number}" for number in range(6)]


def test_each_record_runs_in_the_callers_dspy_context(records: Path, output: Path) -> None:
    class Configured(Stub):
        def forward(self, query: str, **kwargs: Any) -> dspy.Prediction:
            return dspy.Prediction(response=dspy.settings.lm.model)

    with dspy.context(lm=dspy.LM("openai/configured-here")):
        run_file(Configured(), records, output)
    assert {row["output"] for row in load(output)} == {"openai/configured-here"}


def test_progress_counts_what_is_done_already(records: Path, output: Path) -> None:
    seen: list[Progress] = []
    run_file(Stub("query 1"), records, output, limit=2, on_progress=seen.append)
    assert seen[0] == (0, 2, 0)
    assert seen[-1] == (2, 2, 1)
    seen.clear()
    run_file(Stub(), records, output, on_progress=seen.append)
    assert seen[0] == (1, 6, 0)


def test_communities_that_an_answer_did_without_are_reported_also_later(records: Path, output: Path) -> None:
    program = Stub(failures={"care": "timed out"})
    assert run_file(program, records, output, limit=1).partial == {0: {"care": "timed out"}}
    assert run_file(program, records, output, limit=1).partial == {0: {"care": "timed out"}}


@pytest.mark.parametrize("change", ["records", "program", "task"])
def test_a_journal_of_something_else_is_refused_with_what_differs(records: Path, output: Path, change: str) -> None:
    class Other(Stub):
        pass

    run_file(Stub(), records, output)
    content = output.read_bytes()
    if change == "records":
        save(records.parent, [situation(0)])
    program = Other() if change == "program" else Stub()
    with pytest.raises(RunError, match=rf"belongs to another run: {change}.* was .*, is .*start afresh"):
        run_file(program, records, output, task="overton-judge" if change == "task" else None)
    assert output.read_bytes() == content


def test_what_a_user_made_is_not_overwritten(records: Path, output: Path) -> None:
    output.parent.mkdir()
    output.write_text("my notes")
    with pytest.raises(RunError, match="exists and no run wrote it"):
        run_file(Stub(), records, output)
    output.unlink()
    run_file(Stub(), records, output)
    output.write_text(output.read_text() + "\n")
    with pytest.raises(RunError, match="was changed after a run wrote it"):
        run_file(Stub(), records, output)
    with pytest.raises(RunError, match="is the file of records, which is never written"):
        run_file(Stub(), records, records)


def test_a_deleted_output_is_written_again_without_asking(records: Path, output: Path) -> None:
    run_file(Stub(), records, output)
    content = output.read_bytes()
    output.unlink()
    program = Stub()
    run_file(program, records, output)
    assert program.asked() == []
    assert output.read_bytes() == content


def test_a_second_run_on_the_same_output_is_refused(records: Path, output: Path) -> None:
    class Nested(Stub):
        def forward(self, query: str, **kwargs: Any) -> dspy.Prediction:
            with pytest.raises(RunError, match="another run is writing"):
                run_file(Stub(), records, output)
            return dspy.Prediction(response=query)

    assert run_file(Nested(), records, output).complete


def test_a_program_for_another_mode_stops_the_run(tmp_path: Path, output: Path) -> None:
    class Overton(Stub):
        def forward(self, query: str, **kwargs: Any) -> dspy.Prediction:
            return dspy.Prediction(response="Much can be said.", messages=[])

    records = save(tmp_path, [question(["Yes", "No"])])
    with pytest.raises(
        RunError, match="answered by a prediction's 'probabilities', and the program predicts messages, resp"
    ):
        run_file(Overton(), records, output)
    with pytest.raises(RunUsageError, match=r"holds records of distributional-globalopinionqa, and Overton takes no"):
        run_file(RealOverton(fake_lm(), CommunityPool()), records, output)
    assert run_file(Stub(), records, output).complete  # nothing was answered, so that the right program may follow


def test_after_a_run_without_an_answer_a_changed_program_may_follow(records: Path, output: Path) -> None:
    class Repaired(Stub):
        pass

    assert len(run_file(Stub("query 0", "query 1"), records, output, limit=2).failed) == 2
    assert run_file(Repaired(), records, output, limit=2).complete


def test_a_run_in_which_everything_fails_stops_early(tmp_path: Path, output: Path) -> None:
    queries = [f"query {number}" for number in range(40)]
    records, program = save(tmp_path, [situation(number) for number in range(40)]), Stub(*queries)
    with pytest.raises(RunError, match=r"all of the first 10 records failed; record .* TimeoutError: no reply"):
        run_file(program, records, output, workers=2)
    assert len(program.asked()) < 20


@pytest.mark.parametrize("response", ["", "  ", None])
def test_an_empty_response_is_a_failure_and_never_an_answer(records: Path, output: Path, response: str | None) -> None:
    class Silent(Stub):
        def forward(self, query: str, **kwargs: Any) -> dspy.Prediction:
            return dspy.Prediction(response=response if query == "query 3" else "Yes.")

    report = run_file(Silent(), records, output)
    assert [failed.index for failed in report.failed] == [3]
    assert load(output)[3]["output"] is None


def test_no_workers_are_refused(records: Path, output: Path) -> None:
    with pytest.raises(ValueError, match="workers is 0"):
        run_file(Stub(), records, output, workers=0)


@pytest.mark.parametrize("name", ["overton", "steerable", "distributional"])
def test_published_records_are_filled(name: str, output: Path) -> None:
    if "MODPLURAL_BENCHMARKS" not in os.environ:
        pytest.skip("needs the published benchmark files: set MODPLURAL_BENCHMARKS to their folder")
    files = sorted(Path(os.environ["MODPLURAL_BENCHMARKS"]).glob(f"{name}_*.json"))
    assert files
    for number, path in enumerate(files):
        written = output.with_name(f"{number}.json")
        report = run_file(Stub(), path, written, limit=8)
        assert report.complete
        key = TASKS[report.task].record.record_key
        assert [{**row, key: None} for row in load(written)] == load(path)[:8]
        assert None not in [row[key] for row in load(written)]
