"""Records that programs fail on: counted and left out, and never taken for answers of no worth."""

import math
from pathlib import Path
from typing import Any

import pytest
from dspy.lm15 import Request

from modplural.optimizers.compilation import REPORT, REPORT_TEXT, compile, markdown
from modplural.optimizers.compilation.compilation_run import metrics
from modplural.optimizers.compilation.parts import parts_of
from modplural.optimizers.versions import read_scores
from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.overton import Overton

from .conftest import SAID, synthesized

RECORDS = 6


class Server:
    """Answers as the base LLM does, but for the calls that an outage takes, and on what it is silent about."""

    def __init__(self) -> None:
        self.calls = 0
        self.outage = range(0)
        self.silent: tuple[str, ...] = ()

    def __call__(self, request: Request) -> str:
        self.calls += 1
        prompt = prompt_text(request)
        if self.calls in self.outage or any(query in prompt for query in self.silent):
            raise ConnectionError("nobody there")
        return synthesized(request)

    def fail(self, after: int, calls: int) -> None:
        """Answer so many calls from now on, then fail so many."""
        self.outage = range(self.calls + after + 1, self.calls + after + calls + 1)


@pytest.fixture
def server(overton: Overton) -> Server:
    server = Server()
    overton.base = fake_lm(server, name="base", num_retries=0)
    return server


def compiled(program: Overton, **settings: Any) -> Any:
    fixed = {"strategy": "synthesis", "metric": SAID, "limit": RECORDS, "threads": 1}
    return compile(program, "overton-vk", **{**fixed, **settings})


def test_an_outage_is_no_reason_to_keep_a_winner(overton: Overton, server: Server, tmp_path: Path) -> None:
    """The student fails on half of the dev records; the winner is not better for that."""
    report = compiled(overton, output=tmp_path, on_estimate=lambda _: server.fail(0, 3)).report
    assert (report.kept, report.dev.failed_before, report.dev.failed_after) == (False, 3, 0)
    assert "of 6 dev records the student failed on 3" in report.reason
    assert report.dev.comparison.n == report.dev.before["said"].n == RECORDS - 3
    said = (tmp_path / REPORT_TEXT).read_text()
    assert "Of 6 records the program before failed on 3, the one after on 0; they are left out." in said

    again = compiled(overton, output=tmp_path).report
    assert (again.kept, again.dev.failed_before) == (True, 0), "what failed is asked again"


def test_rows_that_failed_are_no_scores(overton: Overton, server: Server, tmp_path: Path) -> None:
    server.silent = tuple(example.query for example in parts_of("overton-vk", None, RECORDS, 0).test.examples[:2])
    report = compiled(overton, output=tmp_path).report
    assert report.kept, report.reason
    assert report.test.before["said"].n == RECORDS - 2
    assert (report.test.failed_before, report.test.failed_after, report.test.comparison.n) == (2, 2, RECORDS - 2)
    numbers = dict(metrics(report))
    assert (numbers["test/before/failed"], numbers["test/after/failed"]) == (2, 2)
    assert sum(math.isnan(row.after) for row in report.test.rows) == 2
    assert len(read_scores(tmp_path / REPORT).rows) == RECORDS - 2


def test_a_search_in_an_outage_is_gone_through_again(overton: Overton, server: Server, tmp_path: Path) -> None:
    undisturbed = compiled(overton, output=tmp_path / "undisturbed").report
    disturbed = {"output": tmp_path / "disturbed"}
    first = compiled(overton, **disturbed, on_estimate=lambda _: server.fail(RECORDS * 2, 4)).report
    assert sum(trial.failed for trial in first.trials) > 0
    assert "| failed |" in markdown(first)
    again = compiled(overton, **disturbed).report
    assert [(one.what, one.score, one.failed) for one in again.trials] == [
        (one.what, one.score, 0) for one in undisturbed.trials
    ]
    assert again.dev.after == undisturbed.dev.after
