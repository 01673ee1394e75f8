"""Options that change a program: what reaches it, and what it has no use for."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import dspy
import pytest
from typer.testing import Result

from modplural.cli.adjusting import Changes, adjust
from modplural.cli.options import FailureAction, MeasureName, SynthesisName
from modplural.cli.session import WrongUsageError
from modplural.programs.baselines import MixtureOfExperts, Vanilla
from modplural.programs.choosing import STRATEGIES
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.measurement import AUTO, Measurement
from modplural.programs.overton import STRATEGIES as SYNTHESES
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool, FailurePolicy
from modplural.programs.program import Program
from modplural.programs.steerable import Steerable

Run = Callable[..., Result]

QUESTION = "Is it right?"
OPTIONS = ("--option", "Always", "--option", "Never")


def make(kind: Any, **settings: Any) -> Any:
    pool = CommunityPool([CommunityLM("care", fake_lm()), CommunityLM("fairness", fake_lm())])
    return kind(fake_lm()) if kind is Vanilla else kind(fake_lm(), pool, **settings)


def test_the_names_are_those_of_the_programs() -> None:
    assert set(MeasureName) == {AUTO, *STRATEGIES}
    assert tuple(SynthesisName) == SYNTHESES
    assert tuple(FailureAction) == get_args(get_type_hints(FailurePolicy)["action"])


@pytest.mark.parametrize("who", [("--mode", "overton"), ("--baseline", "mixture_of_experts")])
def test_a_question_is_answered_without_a_community_that_fails(
    who: tuple[str, str], run: Run, pool_file: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for care"] = replies["You speak for fairness"]
    replies["You speak for fairness"] = ConnectionError("nobody there")
    asked = ("ask", QUESTION, *who, "--pool", pool_file)
    result = run(*asked, "--on-failure", "continue")
    assert result.exit_code == 0, result.stderr
    assert "Justice demands impartial treatment." in result.stdout
    enough = run(*asked, "--on-failure", "continue", "--at-least", "2")
    assert enough.exit_code == (1 if "--mode" in who else 0)


def test_a_run_names_the_communities_that_its_answers_are_without(
    run: Run, pool_file: Path, tmp_path: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for care"] = ConnectionError("nobody there")
    records = tmp_path / "records.json"
    record = {"question": QUESTION, "options": ["Always", "Never"], "attribute": "here", "gold_distribution": [1, 0]}
    records.write_text(json.dumps([{"id": number, **record} for number in range(3)]))
    arguments = ("run", records, "--mode", "distributional", "--output", tmp_path / "out.json", "--pool", pool_file)
    result = run(*arguments, "--on-failure", "continue", "--at-least", "1")
    assert result.exit_code == 0, result.stderr
    assert "3 answered now" in result.stdout
    assert "0, 1, 2  without care" in result.stdout


def test_a_saved_policy_keeps_what_is_not_given() -> None:
    program = make(Overton, failures=FailurePolicy("continue", timeout=3.0))
    adjust(program, Changes(at_least=2))
    assert program.failures == FailurePolicy("continue", at_least=2, timeout=3.0)
    adjust(program, Changes(on_failure=FailureAction.RAISE))
    assert program.failures.action == "raise"


@pytest.mark.parametrize("strategy", ["letters", "texts", "verdicts", "channel", "sampled", "verbalized"])
def test_every_choice_is_measured_as_named(strategy: str) -> None:
    program = make(Steerable)
    adjust(program, Changes(measure=MeasureName(strategy)))
    assert program.select.measurement.strategy == strategy
    assert program.choose.measurement.strategy == ("auto" if strategy == "channel" else strategy)


def test_a_calibration_is_kept_for_its_own_strategy_only() -> None:
    program = make(Distributional)
    program.choose.measurement = learned = Measurement("texts", temperature=3.0)
    adjust(program, Changes(measure=MeasureName.TEXTS))
    assert program.choose.measurement == learned
    adjust(program, Changes(measure=MeasureName.VERDICTS))
    assert program.choose.measurement == Measurement("verdicts")


def test_the_measure_reaches_the_answer(run: Run, pool_file: Path, replies: dict[str, str | Exception]) -> None:
    replies[""] = "A: 25%\nB: 75%"
    asked = ("ask", QUESTION, "--baseline", "vanilla", *OPTIONS, "--pool", pool_file, "--json")
    written = json.loads(run(*asked, "--measure", "verbalized").stdout)
    assert written["probabilities"] == pytest.approx({"Always": 0.25, "Never": 0.75})
    assert json.loads(run(*asked, "--measure", "verdicts").stdout)["option"] == "Always"


@pytest.mark.parametrize("synthesis", SYNTHESES)
def test_the_synthesis_reaches_the_answer(synthesis: str, run: Run, pool_file: Path) -> None:
    asked = ("ask", QUESTION, "--mode", "overton", "--pool", pool_file, "--json")
    answer = json.loads(run(*asked, "--synthesis", synthesis).stdout)
    assert answer["strategy"] == synthesis
    assert ("sentences" in answer) == (synthesis != "joint")


REFUSED: list[tuple[Any, Changes, str]] = [
    (Overton, Changes(measure=MeasureName.LETTERS), "Overton makes no choice that could be measured; leave out"),
    (Distributional, Changes(measure=MeasureName.CHANNEL), "no choice of Distributional names one; give --measure"),
    (Steerable, Changes(synthesis=SynthesisName.JOINT), "Steerable synthesizes nothing"),
    (Vanilla, Changes(on_failure=FailureAction.CONTINUE), "Vanilla asks no community; leave out --on-failure"),
    (MixtureOfExperts, Changes(at_least=1), "needs --on-failure continue"),
    (Overton, Changes(FailureAction.CONTINUE, at_least=3), "--at-least is 3, and the pool has 2 communities"),
]


@pytest.mark.parametrize(("kind", "changes", "said"), REFUSED)
def test_what_a_program_has_no_use_for_is_refused(kind: type[Program], changes: Changes, said: str) -> None:
    with pytest.raises(WrongUsageError, match=re.escape(said)):
        adjust(make(kind), changes)


def test_a_measure_that_the_backend_cannot_do_is_refused_before_anybody_is_asked() -> None:
    program = Vanilla(dspy.LM("anthropic/some-model"))
    with pytest.raises(WrongUsageError, match=r"'letters' cannot be measured here; these can: sampled, verbalized"):
        adjust(program, Changes(measure=MeasureName.LETTERS))


def test_a_refused_option_is_wrong_usage(run: Run, pool_file: Path, fakes: dict[str, dspy.LM]) -> None:
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file, "--measure", "texts")
    assert (result.exit_code, result.stdout) == (2, "")
    assert not any(lm.engine.requests for lm in fakes.values())
