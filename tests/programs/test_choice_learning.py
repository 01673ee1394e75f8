"""What saving and optimizers make of a measured choice: its measurement is kept, and its demos are shown."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.programs.choice import MeasuredChoice
from modplural.programs.engines.fake import fake_lm
from modplural.programs.measurement import Measurement


class Pick(dspy.Signature):
    """You pick what reflects the attribute."""

    query: str = dspy.InputField()
    attribute: str | None = dspy.InputField(default=None)
    options: list[str] = dspy.InputField()
    choice: str = dspy.OutputField()


QUERY = "A drink?"
OPTIONS = ["tea", "milk"]
TABLE = {"tea": math.log(0.3), "milk": math.log(0.1), "soup": math.log(0.1), "bread": math.log(0.3)}


def likely() -> dspy.LM:
    """An LM for which tea and bread are three times as likely as milk and soup, and good as bad."""
    return fake_lm("", lambda prompt, continuation: TABLE.get(continuation.strip(), math.log(0.5)))


def meal(query: str = "A meal?") -> dspy.Example:
    return dspy.Example(query=query, options=["soup", "bread"], choice="bread").with_inputs("query", "options")


def test_a_state_survives_json() -> None:
    choose = MeasuredChoice(Pick, channel="attribute")
    choose.measurement = Measurement("verdicts", 0.5, {"tea": -1.0})
    choose.signature = choose.signature.with_instructions("Pick what keeps warm.")
    choose.demos = [meal()]
    other = MeasuredChoice(Pick, channel="attribute")
    assert other.load_state(json.loads(json.dumps(choose.dump_state()))) is other
    assert other.measurement == choose.measurement
    assert other.signature.instructions == "Pick what keeps warm."
    lms = likely(), likely()
    found, again = (
        predictor(query=QUERY, options=OPTIONS, lm=lm) for predictor, lm in zip((choose, other), lms, strict=True)
    )
    assert again.toDict() == found.toDict()
    assert lms[1].engine.prompts == lms[0].engine.prompts
    assert "A meal?" in lms[0].engine.prompts[0]


def test_a_program_is_saved_with_its_measurements(tmp_path: Path) -> None:
    class Program(dspy.Module):
        def __init__(self) -> None:
            super().__init__()
            self.choose = MeasuredChoice(Pick)

    program, other = Program(), Program()
    program.choose.measurement = Measurement("letters", 2.0)
    program.save(tmp_path / "program.json")
    other.load(tmp_path / "program.json")
    assert other.choose.measurement == Measurement("letters", 2.0)


def test_a_state_that_says_nothing_about_the_measurement_keeps_it() -> None:
    choose = MeasuredChoice(Pick)
    choose.measurement = Measurement("letters", 2.0)
    choose.load_state(dspy.Predict(Pick).dump_state())
    assert choose.measurement == Measurement("letters", 2.0)


@pytest.mark.parametrize(
    "measurement",
    [None, "letters", {}, {"strategy": "votes", "temperature": 1.0, "bias": {}}, {"strategy": "letters"}],
)
def test_nonsense_is_refused_and_nothing_is_taken(measurement: Any) -> None:
    choose = MeasuredChoice(Pick, "texts")
    choose.demos = [meal()]
    state = MeasuredChoice(Pick.with_instructions("Something else.")).dump_state()
    before = json.dumps(choose.dump_state())
    with pytest.raises(ValueError, match=r"strategy"):
        choose.load_state({**state, "measurement": measurement})
    assert json.dumps(choose.dump_state()) == before


def test_loading_does_not_change_the_state_it_takes() -> None:
    state = MeasuredChoice(Pick, "texts").dump_state()
    before = json.dumps(state)
    MeasuredChoice(Pick).load_state(state)
    assert json.dumps(state) == before


def test_resetting_clears_demos_and_keeps_the_measurement() -> None:
    choose = MeasuredChoice(Pick, channel="attribute")
    choose.measurement = Measurement("letters", 2.0)
    choose.demos = [meal()]
    choose.reset()
    assert choose.demos == []
    assert (choose.measurement, choose.channel) == (Measurement("letters", 2.0), "attribute")


@pytest.mark.parametrize("copied", ["deepcopy", "reset_copy"])
def test_copies_measure_alike_and_are_separate(copied: str) -> None:
    choose = MeasuredChoice(Pick, channel="attribute")
    choose.measurement = Measurement("texts", 0.5)
    other = getattr(choose, copied)()
    assert (other.measurement, other.channel) == (Measurement("texts", 0.5), "attribute")
    other.measurement = Measurement("letters")
    assert choose.measurement == Measurement("texts", 0.5)
    assert choose(query=QUERY, options=OPTIONS, lm=likely()).probabilities["tea"] == pytest.approx(0.9)


class Bar(dspy.Module):
    """A program with one choice."""

    def __init__(self) -> None:
        super().__init__()
        self.choose = MeasuredChoice(Pick, "texts")

    def forward(self, query: str, options: Sequence[str]) -> dspy.Prediction:
        return self.choose(query=query, options=options)


MEALS = [meal(f"Meal {place}?") for place in range(3)]


def test_labeled_demos_are_shown() -> None:
    bar = Bar()
    bar.choose.measurement = Measurement("texts", 0.5)
    compiled = dspy.LabeledFewShot(k=2).compile(bar, trainset=MEALS)
    lm = likely()
    with dspy.context(lm=lm):
        found = compiled(query=QUERY, options=OPTIONS)
    assert found.probabilities == pytest.approx({"tea": 0.9, "milk": 0.1})
    assert lm.engine.prompts[0].count("\nbread\n") == 2


def test_bootstrapped_demos_are_shown_and_saved() -> None:
    seen: list[Any] = []

    def metric(example: dspy.Example, prediction: dspy.Prediction, trace: Any = None) -> bool:
        seen.append(prediction)
        return bool(prediction.choice == example.choice and prediction.probabilities["bread"] > 0.7)

    optimizer = dspy.BootstrapFewShot(metric=metric, max_bootstrapped_demos=2, max_labeled_demos=0)
    with dspy.context(lm=likely()):
        compiled = optimizer.compile(Bar(), trainset=MEALS)
    assert [prediction.strategy for prediction in seen] == ["texts", "texts"]
    demos = compiled.choose.demos
    assert [shown.query for shown in demos] == ["Meal 0?", "Meal 1?"]
    assert all(shown.probabilities == pytest.approx({"soup": 0.25, "bread": 0.75}) for shown in demos)
    other, lm = Bar(), likely()
    other.load_state(json.loads(json.dumps(compiled.dump_state())))
    with dspy.context(lm=lm):
        other(query=QUERY, options=OPTIONS)
    assert lm.engine.prompts[0].count("\nbread\n") == 2
