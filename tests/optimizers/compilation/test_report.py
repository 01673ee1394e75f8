"""What a program has learned as text, its diff, and the report as JSON and Markdown."""

import json
import math
from dataclasses import fields

import dspy

from modplural.optimizers.compilation import Beside, CompileReport, Estimate, PartReport, Trial, markdown
from modplural.optimizers.compilation.report import RowReport, diff_of, learned_text
from modplural.optimizers.evaluation.usage import Tokens
from modplural.optimizers.metrics import compare, mean_figure
from modplural.programs.distributional import Distributional
from modplural.programs.measurement import Measurement
from modplural.programs.overton import Overton


def part(name: str) -> PartReport:
    before, after = [0.1, 0.2, 0.3], [0.4, 0.5, math.nan]
    figures = [{"said": mean_figure("said", rows, range(3))} for rows in (before, after)]
    rows = tuple(RowReport(str(n), str(n), *scores) for n, scores in enumerate(zip(before, after, strict=True)))
    lengths = [{"words": mean_figure("words", [float(n)] * 3)} for n in (10, 20)]
    paired = Beside("prompted", {**figures[1], **lengths[1]}, {**figures[0], **lengths[0]}, compare(after, before))
    failed = Beside("vanilla", figures[1], {}, compare([math.nan], [math.nan]), "the metric | fails")
    return PartReport(name, f"/data/{name}.json", "0" * 64, 3, *figures, compare(after, before), rows, (failed, paired))


def report(trials: int = 2, diff: str = "-a\n+b") -> CompileReport:
    return CompileReport(
        task="overton-vk",
        program="Overton",
        strategy="synthesis",
        kept=True,
        reason="better",
        primary="said",
        higher_is_better=True,
        scorer="words",
        dev=part("dev"),
        test=part("test"),
        unseen=part("unseen"),
        selection=None,
        diff=diff,
        trials=tuple(Trial("synthesis", f"a | b {number}\nc", 0.5, 3, 9, 1.0) for number in range(trials)),
        stopped=True,
        estimate=Estimate(9, 0, {"openai/x": Tokens(9, 90, 9)}, {"openai/x": 0.5}),
        tokens={"openai/x": Tokens(8, 80, 8)},
        costs={"openai/x": 0.25},
        settings={"seed": 0},
        seconds=12.0,
        load=(1.0, 2.0, 3.0),
    )


def test_the_json_says_everything_and_has_no_nan() -> None:
    found = json.loads(report().encoded())
    assert found["tokens"] == {"openai/x": {"calls": 8, "input": 80, "output": 8}}
    assert found["estimate"]["tokens"]["openai/x"]["calls"] == 9
    assert len(found["trials"]) == 2
    assert found["test"]["after"]["said"]["n"] == 2
    assert found["test"]["rows"][2] == {"record": "2", "group": "2", "before": 0.3, "after": None}
    assert found.keys() == vars(report()).keys()


def test_the_markdown_has_tables_that_hold() -> None:
    text = markdown(report(trials=50))
    rows = [line for line in text.splitlines() if line.startswith("| synthesis")]
    assert len(rows) == 40
    assert rows[0] == r"| synthesis | a \| b 0 c | 0.5000 | 3 | 0 | 9 | 1.0 |"
    for part in (
        "50 trials",
        "The budget ended the search.",
        "The first 40 are shown.",
        "0.25",
        "load of the machine 1.0",
    ):
        assert part in text
    assert "Nothing." in markdown(report(diff=""))


def test_baselines_stand_beside_the_program_with_their_lengths() -> None:
    lines = markdown(report()).splitlines()
    assert "## Unseen, unseen.json: what is returned against the student, scored once" in lines
    beside = [line for line in lines if line.startswith(("| prompted", "| vanilla"))]
    assert beside[:2] == [
        r"| vanilla | the metric \| fails |  |  |  |  |",
        "| prompted | 0.200 [0.100, 0.300] | 10 | 0.450 | 20 | +0.300 [+0.300, +0.300], +150% |",
    ]
    assert len(beside) == 4, "on test and on unseen records, and not on dev"


def test_everything_that_is_learned_shows_in_the_diff(overton: Overton, distributional: Distributional) -> None:
    changed = overton.deepcopy()
    changed.synthesis.value = "refine"
    changed.restate.signature = changed.restate.signature.with_instructions("Say it in\ntwo lines.")
    changed.synthesize.demos = [dspy.Example(query="q", response="r", augmented=True)]
    found = diff_of(overton, changed)
    for line in (
        "-value: joint",
        "+value: refine",
        "+instructions: Say it in",
        "+instructions: two lines.",
        '+demo: {"query": "q", "response": "r"}',
    ):
        assert line in found.splitlines()

    measured = distributional.deepcopy()
    measured.choose.measurement = Measurement("texts", 2.5, {"yes": 0.5}, 3.0)
    measured.pool.weights.update({"care": 2.0})
    measured.pooling.value = "logarithmic"
    text = learned_text(measured).splitlines()
    measurement = "measured by: texts, temperature 2.5, sharpness 3"
    assert {measurement, "bias of yes: +0.5", "care: 2", "value: logarithmic"} <= set(text)
    assert {field.name for field in fields(Measurement)} == {"strategy", "temperature", "bias", "sharpness"}
    assert diff_of(measured, measured.deepcopy()) == ""
