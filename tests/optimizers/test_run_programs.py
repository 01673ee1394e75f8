"""The three modes over our own sample records, with LMs that are scripted."""

import json
from importlib.resources import as_file
from pathlib import Path

import pytest

from modplural.data import TASKS, sample
from modplural.optimizers import run_file
from modplural.programs.baselines import Vanilla
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.mode import Mode
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool, FailurePolicy
from modplural.programs.steerable import Steerable

MODES: dict[str, type[Mode]] = {
    "overton-vk": Overton,
    "steerable-vk": Steerable,
    "distributional-moralchoice": Distributional,
    "distributional-globalopinionqa": Distributional,
}


def program(task: str) -> Mode:
    lm = fake_lm(
        lambda request: "Much is at stake here.", lambda prompt, continuation: -0.1 * len(prompt + continuation)
    )
    silent = fake_lm({"never asked": "nothing"})
    pool = CommunityPool([CommunityLM("care", lm), CommunityLM("fairness", lm), CommunityLM("silent", silent)])
    return MODES[task](lm, pool, failures=FailurePolicy("continue", at_least=2))


@pytest.mark.parametrize("task", MODES)
def test_each_mode_fills_its_samples_and_names_who_was_missing(task: str, tmp_path: Path) -> None:
    output = tmp_path / "out.json"
    with as_file(sample(task)) as records:
        report = run_file(program(task), records, output, task=task, limit=4)
        again = run_file(program(task), records, output, task=task, limit=4)
    assert (report.task, report.answered, report.complete) == (task, 4, True)
    assert again.resumed == 4
    assert {tuple(missing) for missing in report.partial.values()} == {("silent",)}
    answers = [row[TASKS[task].record.record_key] for row in json.loads(output.read_bytes())]
    if task == "steerable-vk":
        assert set(answers) <= {"A", "B", "C"}
    elif task == "overton-vk":
        assert all("at stake" in answer for answer in answers)
    else:
        assert all(sum(answer) == pytest.approx(1) for answer in answers)


def test_a_key_that_a_server_repeats_is_kept_nowhere(tmp_path: Path) -> None:
    refusal = fake_lm({"": RuntimeError("wrong key sk-canary")}, num_retries=0)
    refusal.kwargs["api_key"] = "sk-canary"
    output = tmp_path / "out.json"
    with as_file(sample("overton-vk")) as records:
        report = run_file(Vanilla(refusal), records, output, limit=4)
    assert len(report.failed) == 4
    assert all("wrong key ***" in failed.error for failed in report.failed)
    assert not any("canary" in path.read_text() for path in tmp_path.iterdir() if path.is_file())
