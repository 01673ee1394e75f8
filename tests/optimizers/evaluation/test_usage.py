"""Tokens are counted once, in the place they belong to, and priced where a price is known."""

import dspy
import pytest

from modplural.optimizers.evaluation.usage import Spent, Tokens, cost, counting, spent, total, usage_of
from modplural.programs.engines.fake import fake_lm


def test_calls_and_tokens_are_counted_by_lm() -> None:
    one, other = fake_lm({"": "Two words."}, name="one"), fake_lm({"": "Three words here."}, name="other")
    with counting() as tracker:
        one("Tea?")
        one("Tea or milk?")
        other("Tea?")
    assert usage_of(tracker) == {"fake/one": Tokens(2, 4, 4), "fake/other": Tokens(1, 1, 3)}


def test_what_is_counted_within_is_not_counted_around() -> None:
    lm = fake_lm({"": "Yes."})
    with counting() as around:
        lm("Tea?")
        with counting() as within:
            lm("Milk?")
    assert usage_of(around) == usage_of(within) == {"fake/lm": Tokens(1, 1, 1)}


def test_answers_from_a_cache_took_no_tokens(dspy_cache: object) -> None:
    lm = fake_lm({"": "Yes."}, cache=True)
    lm("Tea?")
    with counting() as tracker:
        lm("Tea?")
    assert usage_of(tracker) == {}


def test_usages_add_up() -> None:
    usages = [{"a": Tokens(1, 2, 3)}, {"b": Tokens(1, 1, 1)}, {"a": Tokens(1, 1, 1)}]
    assert total(usages) == {"a": Tokens(2, 3, 4), "b": Tokens(1, 1, 1)}
    assert total([]) == {}


def test_a_price_is_known_or_not() -> None:
    found = cost("openai/gpt-4o-mini", Tokens(1, 1_000_000, 1_000_000))
    assert found == pytest.approx(0.75, abs=0.5)
    assert cost("hosted_vllm/mine", Tokens(1, 10, 10)) is None
    assert cost("local/smollm2", Tokens(1, 10, 10)) is None


def test_a_price_is_that_of_many_calls_and_not_of_one_long_one() -> None:
    """Some models ask more for a long prompt, which the sum of many short ones is not."""
    one, many = Tokens(1, 1000, 1000), Tokens(1000, 1_000_000, 1_000_000)
    price = cost("gemini/gemini-2.5-pro", one)
    assert price is not None
    assert cost("gemini/gemini-2.5-pro", many) == pytest.approx(1000 * price)


def test_what_lms_took_together_has_the_price_of_those_that_have_one() -> None:
    asked = Tokens(2, 1_000_000, 500_000)
    assert spent({}) == Spent(0, 0, None)
    assert spent({"local/smollm2": asked}) == Spent(1_000_000, 500_000, None)
    both = spent({"local/smollm2": asked, "openai/gpt-4o-mini": asked})
    assert (both.input, both.output, both.dollars) == (2_000_000, 1_000_000, cost("openai/gpt-4o-mini", asked))


def test_nothing_is_kept_in_the_history() -> None:
    lm = fake_lm({"": "Yes."})
    with counting():
        lm("Tea?")
    assert lm.history == []
    assert dspy.settings.usage_tracker is None
