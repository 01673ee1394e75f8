"""Calls are counted once wherever they are made, and no more are let through than the limit allows."""

import copy

import dspy
import pytest

from modplural.optimizers.compilation.estimate import Estimate, estimate
from modplural.optimizers.compilation.ledger import BudgetSpent, Ledger
from modplural.optimizers.evaluation.usage import Tokens
from modplural.programs.adapters import PlainAdapter
from modplural.programs.engines.fake import fake_lm


def test_calls_of_all_threads_are_counted_once() -> None:
    ledger, lm = Ledger(), fake_lm({"": "two words"})
    examples = [dspy.Example(question=str(number)).with_inputs("question") for number in range(20)]
    program = dspy.Predict("question -> answer")
    with ledger.watching(), ledger.watching(), dspy.context(lm=lm, adapter=PlainAdapter()):
        dspy.Evaluate(devset=examples, metric=lambda *_: 1.0, num_threads=8, display_progress=False)(program)
    assert ledger.calls == 20 == len(lm.engine.requests)
    assert ledger.asked == {"fake/lm": 20}
    assert ledger.usage()["fake/lm"].output == 40
    assert copy.deepcopy(ledger) is ledger


def test_answers_from_the_cache_cost_nothing(dspy_cache: object) -> None:
    ledger, lm = Ledger(), fake_lm({"": "yes"}, cache=True)
    with ledger.watching():
        lm("Is it?")
        lm("Is it?")
    assert (ledger.calls, ledger.asked["fake/lm"]) == (1, 2)


def test_the_limit_ends_even_what_catches_every_exception() -> None:
    ledger, lm = Ledger(), fake_lm({"": "yes"})
    ledger.limit = 2
    with pytest.raises(BudgetSpent), ledger.watching():
        for number in range(5):
            try:
                lm(f"Is it {number}?")
            except Exception:  # as DSPy's optimizers do
                continue
    assert len(lm.engine.requests) == 2


def test_what_was_spent_before_counts_on() -> None:
    ledger, lm = Ledger({"fake/lm": Tokens(5, 10, 1)}), fake_lm({"": "yes"})
    with ledger.watching():
        lm("Is it?")
    assert ledger.calls == 6
    assert ledger.usage()["fake/lm"] == Tokens(6, 12, 2)


def test_an_estimate_multiplies_what_one_answer_took() -> None:
    found = estimate(10, {"a": 3, "b": 1}, {"a": Tokens(1, 100, 20)}, 4, "b")
    assert found == Estimate(10, 4, {"a": Tokens(30, 3000, 600), "b": Tokens(14, 8000, 1600)}, {})
    assert str(found) == "up to 10 answers, about 44 LM calls (30 of a, 14 of b), 13,200 tokens"
    priced = estimate(1000, {"openai/gpt-4o": 1}, {"openai/gpt-4o": Tokens(1, 1000, 100)})
    assert priced.costs["openai/gpt-4o"] == pytest.approx(3.5)
    assert str(priced).endswith("about $3.50")
