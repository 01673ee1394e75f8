"""The written bank, rewrites by an LM, and halving."""

import dspy
import pytest

from modplural.optimizers.compilation.bank import bank_of
from modplural.optimizers.compilation.instructions import SearchInstructions
from modplural.programs.baselines import Vanilla
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.overton import Overton
from modplural.programs.program import Program
from modplural.programs.steerable import Steerable

from .conftest import MakeBench, situations


@pytest.mark.parametrize("mode", ["overton", "steerable", "distributional"])
def test_the_bank_has_instructions_for_every_predictor_of_a_mode(mode: str, request: pytest.FixtureRequest) -> None:
    program: Program = request.getfixturevalue(mode)
    bank, own = bank_of(program), {name for name, _ in program.named_predictors() if not name.startswith("pool.")}
    assert set(bank) == own
    for name, written in bank.items():
        assert len(set(written)) == len(written) >= 6
        assert dict(program.named_predictors())[name].signature.instructions not in written
        assert all(len(text.split()) <= 30 and "\n" not in text and text.endswith((".", "?")) for text in written)


def test_bad_candidates_are_dropped_early(overton: Overton, make_bench: MakeBench) -> None:
    bench = make_bench()
    SearchInstructions(bench).compile(overton, trainset=situations(1), valset=situations(16))
    sizes = [trial.n for trial in bench.log.trials]
    own = [trial.n for trial in bench.log.trials if trial.what == "synthesize: as it was"]
    assert own == [4, 8, 16]
    assert [sizes.count(n) - 1 for n in own] == [8, 4, 2]
    assert not any(trial.what.startswith("restate") for trial in bench.log.trials), "nothing is restated when joint"


def test_only_the_predictors_that_are_reached_are_searched(overton: Overton, make_bench: MakeBench) -> None:
    overton.synthesis.value = "per_message"
    bench = make_bench()
    SearchInstructions(bench).compile(overton, trainset=situations(1), valset=situations(5))
    assert {trial.what.partition(":")[0] for trial in bench.log.trials} == {"restate"}


def test_rewrites_of_a_given_lm_are_candidates_and_useless_ones_are_not(
    overton: Overton, make_bench: MakeBench
) -> None:
    said = iter(["Say everything.", "Say everything.", "word " * 200, "  Say\nit all. "])
    bench = make_bench(prompt_lm=fake_lm(lambda request: next(said), name="prompt"))
    SearchInstructions(bench).compile(overton, trainset=situations(1), valset=situations(4))
    tried = [trial.what.partition(": ")[2] for trial in bench.log.trials]
    assert tried.count("Say everything.") == 1
    assert "Say it all." in tried
    assert not any(text.startswith("word word") for text in tried)
    assert bench.prompt_lm is not None
    assert "It has to write response (one text that reflects every message)." in bench.prompt_lm.engine.prompts[0]


def test_a_program_without_a_bank_needs_an_lm_that_rewrites(make_bench: MakeBench, prompt_lm: dspy.LM) -> None:
    vanilla = Vanilla(fake_lm(lambda request: "Kindness" if "Say everything" in str(request.system) else "No."))
    with pytest.raises(ValueError, match="no instructions are written down for Vanilla"):
        SearchInstructions(make_bench()).compile(vanilla, trainset=situations(2))
    found = SearchInstructions(make_bench(prompt_lm=prompt_lm)).compile(vanilla, trainset=situations(2))
    assert found.respond.signature.instructions.startswith("Say everything that was said, number ")


def test_modes_that_are_searched() -> None:
    assert all(bank_of(object.__new__(kind)) for kind in (Overton, Steerable, Distributional))
