"""Every strategy runs to its end, makes its program better, and leaves everything else as it was."""

from pathlib import Path

import dspy
import pytest

from modplural.optimizers.compilation import STRATEGIES
from modplural.optimizers.compilation.heats import FIRST
from modplural.optimizers.metrics import TaskMetric, metric_for
from modplural.programs.distributional import Distributional
from modplural.programs.overton import Overton
from modplural.programs.program import Program
from modplural.programs.saving import load_into
from modplural.programs.steerable import Steerable

from .conftest import MakeBench, bindings, dilemmas, situations

ON_OVERTON = ["synthesis", "instructions", "bootstrap", "mipro", "copro", "gepa"]


def check_whole(student: Program, found: Program, before: dict[str, object], folder: Path) -> None:
    """The student is as it was, the found one has its LMs, and survives save and load."""
    assert student.dump_state() == before
    assert type(found) is type(student)
    assert bindings(found) == bindings(student)
    assert vars(found).keys() == vars(student).keys(), "optimizers leave their notes on what they return"
    found.save(folder / "saved")
    loaded = student.deepcopy()
    load_into(loaded, folder / "saved")
    assert loaded.dump_state() == found.dump_state()


@pytest.mark.parametrize("name", ON_OVERTON)
def test_a_strategy_finds_what_says_everything(
    name: str, overton: Overton, make_bench: MakeBench, prompt_lm: dspy.LM, tmp_path: Path
) -> None:
    bench, before = make_bench(prompt_lm=prompt_lm), overton.dump_state()
    found = STRATEGIES[name](bench).compile(overton, trainset=situations(8), valset=situations(14)[8:])

    assert bench.goodness(bench.score(found, situations(20)[14:])) == 1
    check_whole(overton, found, before, tmp_path)
    assert bench.log.trials
    assert {trial.stage for trial in bench.log.trials} == {name}
    own = {key: state for key, state in found.dump_state().items() if key.startswith("pool.")}
    assert own == {key: state for key, state in before.items() if key.startswith("pool.")}


@pytest.mark.parametrize(("name", "share"), [("measurement", 0.7), ("weights", 1.0)])
def test_a_strategy_brings_distributions_closer(
    name: str, share: float, distributional: Distributional, make_bench: MakeBench, distance: TaskMetric, tmp_path: Path
) -> None:
    bench, before, examples = make_bench(distance), distributional.dump_state(), dilemmas(33, share)
    found = STRATEGIES[name](bench).compile(distributional, trainset=examples[:12], valset=examples[12:21])

    test = examples[21:]
    assert bench.goodness(bench.score(found, test)) > bench.goodness(bench.score(distributional, test)) + 0.03
    check_whole(distributional, found, before, tmp_path)


def test_every_strategy_is_covered_here() -> None:
    assert {*ON_OVERTON, "measurement", "weights"} == set(STRATEGIES)


def test_every_choice_of_a_program_is_measured_in_every_way(steerable: Steerable, make_bench: MakeBench) -> None:
    examples = [
        dspy.Example(
            query=f"What now, {number}?",
            situation=str(number),
            attribute="justice",
            options=[f"A GOOD deed {number}", f"A bad deed {number}"],
            option=f"A GOOD deed {number}",
        ).with_inputs("query", "attribute", "options")
        for number in range(12)
    ]
    bench = make_bench(metric_for("steerable-vk"))
    found = STRATEGIES["measurement"](bench).compile(steerable, trainset=examples[:6], valset=examples[6:])
    tried = {trial.what.split(",")[0] for trial in bench.log.trials}
    assert {"select: channel", "select: letters", "choose: verdicts", "choose: texts"} <= tried
    assert found.choose.measurement.strategy in ("auto", "verdicts")
    assert not any(trial.what.startswith("select") and "temperature" in trial.what for trial in bench.log.trials)


def test_a_choice_that_loses_the_heat_is_measured_no_further(
    distributional: Distributional, make_bench: MakeBench
) -> None:
    bench = make_bench(metric_for("distributional-moralchoice"))
    examples = dilemmas(2 * FIRST + 4, share=1.0)
    STRATEGIES["measurement"](bench).compile(distributional, trainset=examples[4:], valset=examples[:4])
    asked = {trial.what: trial.n for trial in bench.log.trials if "," not in trial.what}
    assert asked == {"choose: verdicts": 2 * FIRST, "choose: letters": FIRST, "choose: texts": FIRST}
    calibrated = {trial.what.split(",")[0] for trial in bench.log.trials if "," in trial.what}
    assert calibrated == {"choose: verdicts"}


@pytest.mark.parametrize("name", ["mipro", "gepa", "copro"])
def test_a_strategy_that_needs_a_prompt_lm_says_so_before_anything_is_asked(
    name: str, overton: Overton, make_bench: MakeBench
) -> None:
    with pytest.raises(
        ValueError, match=f"the strategy '{name}' has instructions written by an LM, and none was given"
    ):
        STRATEGIES[name](make_bench()).compile(overton, trainset=situations(2), valset=situations(2))
    assert not overton.base.engine.requests


def test_a_strategy_refuses_programs_that_it_can_do_nothing_for(
    overton: Overton, distributional: Distributional, make_bench: MakeBench
) -> None:
    for name, program, why in (
        ("synthesis", distributional, "Distributional synthesizes nothing"),
        ("measurement", overton, "Overton measures no choice"),
        ("weights", overton, "Overton has no weights to fit"),
    ):
        with pytest.raises(ValueError, match=why):
            STRATEGIES[name](make_bench()).compile(program, trainset=situations(2))


def test_a_teacher_or_no_examples_are_refused(overton: Overton, make_bench: MakeBench) -> None:
    strategy = STRATEGIES["synthesis"](make_bench())
    for settings in ({"trainset": []}, {"trainset": situations(1), "teacher": overton}):
        with pytest.raises(ValueError, match="takes a trainset that is not empty, and no teacher"):
            strategy.compile(overton, **settings)
