"""Scorers by name."""

import pytest

from modplural.optimizers.scorer_names import judge_named, scorer_named


@pytest.mark.parametrize(
    ("name", "scorer"),
    [
        ("embedding", "embedding:sentence-transformers/all-MiniLM-L6-v2"),
        ("embedding:some/model", "embedding:some/model"),
        ("nli", "nli:microsoft/deberta-v2-xlarge-mnli"),
        ("nli:some/model", "nli:some/model"),
        ("judge:openai/judge", "judge:openai/judge:"),
    ],
)
def test_a_name_has_its_scorer(name: str, scorer: str) -> None:
    assert scorer_named(name).name.startswith(scorer)


def test_a_judge_compares_as_well() -> None:
    assert judge_named("judge:openai/judge").name.startswith("judge:openai/judge:")


@pytest.mark.parametrize("name", ["rouge", "", "judge", "judge:", "Embedding"])
def test_an_unknown_scorer_is_named_with_those_there_are(name: str) -> None:
    with pytest.raises(ValueError, match=r"unknown scorer .*; the scorers are embedding"):
        scorer_named(name)


def test_a_judge_without_a_provider_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match=r"the scorer 'judge:gpt': 'gpt' names no provider"):
        judge_named("judge:gpt")
    with pytest.raises(ValueError, match="unknown scorer 'nli'"):
        judge_named("nli")
