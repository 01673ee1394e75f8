"""A real vLLM server measures what the engine in this process measures, for the base and every adapter."""

import math
from collections.abc import Callable

import dspy
import pytest

from modplural import MeasuredChoice
from modplural.programs.engines.scoring import Likelihood, ScoreItem, Turn
from modplural.programs.measures import score

NAMES = ["base", "care", "fairness", "liberty", "loyalty", "authority", "sanctity"]
LETTERS = ("A", "B", "C")
PROBLEMS = ("a lost purse", "a broken promise", "a noisy neighbour", "a sick friend", "an unfair rule")
ACTIONS = ("tell the truth", "say nothing", "ask for help", "do as the others do", "wait for a week")
LM = Callable[[str], dspy.LM]

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("name", ["base", "care", "liberty"])
def test_options_are_as_likely_as_in_process(name: str, served: LM, here: LM) -> None:
    items = [
        ScoreItem((Turn("user", f"{head} {problem}: may I {action}?\nA. Yes\nB. No\nC. Unsure\nAnswer:"),), LETTERS)
        for head in ("At work, about", "At home, about")
        for problem in PROBLEMS
        for action in ACTIONS
    ]
    distances = list(map(_total_variation, score(served(name), items), score(here(name), items)))

    assert len(distances) == 50
    assert max(distances) < 0.02


@pytest.mark.parametrize("name", NAMES)
def test_a_choice_says_how_it_was_measured_and_what_it_covers(name: str, served: LM, here: LM) -> None:
    choose = MeasuredChoice("query, options: list[str] -> choice: str", "letters")

    def ask(lm: dspy.LM) -> dspy.Prediction:
        with dspy.context(lm=lm):
            return choose(query="Should streets be closed on Sundays?", options=["Yes", "No", "Sometimes"])

    there, beside = ask(served(name)), ask(here(name))

    assert (there.method, beside.method) == ("prompt_logprobs", "likelihood")
    assert sum(there.probabilities.values()) == pytest.approx(1)
    coverage = 1 - there.outside
    assert 0 < coverage < 1
    assert coverage == pytest.approx(1 - beside.outside, abs=1e-3)
    assert there.probabilities == pytest.approx(beside.probabilities, abs=0.02)


def _total_variation(one: list[Likelihood], other: list[Likelihood]) -> float:
    return sum(abs(p - q) for p, q in zip(_shares(one), _shares(other), strict=True)) / 2


def _shares(row: list[Likelihood]) -> list[float]:
    masses = [math.exp(likelihood.logprob) for likelihood in row]
    return [mass / sum(masses) for mass in masses]
