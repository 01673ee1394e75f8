"""Likelihoods from trees of tokens against plain forward passes."""

import random
from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modplural.programs.engines.backbone import Backbone
from modplural.programs.engines.likelihood import TokenItem, TokenTree, plant, score_trees

ADAPTERS = (None, "care", "fairness", "liberty")

tokens = st.lists(st.integers(10, 14), min_size=1, max_size=12).map(tuple)
items = st.builds(TokenItem, tokens, st.lists(tokens, min_size=1, max_size=4).map(tuple))


@torch.inference_mode()
def plainly(backbone: Backbone, prompt: Sequence[int], continuation: Sequence[int], adapter: str | None) -> float:
    """Log-likelihood by a forward pass over nothing but this prompt and continuation."""
    backbone.adapters.route([adapter])
    ids = torch.tensor([[*prompt, *continuation]])
    logprobs = backbone.model(ids, use_cache=False).logits[0].log_softmax(-1)
    return sum(float(logprobs[len(prompt) - 1 + index, token]) for index, token in enumerate(continuation))


@torch.inference_mode()
def scored(backbone: Backbone, asked: Sequence[TokenItem], adapter: str | None, limit: int = 2048) -> list[float]:
    trees = plant(asked, limit)
    scores = score_trees(backbone, trees, [adapter] * len(trees))
    return [score.logprob for tree in scores for score in tree]


@settings(deadline=None, max_examples=30)
@given(
    asked=st.lists(items, min_size=1, max_size=5),
    adapter=st.sampled_from(ADAPTERS),
    limit=st.sampled_from([1, 20, 999]),
)
def test_likelihoods_are_those_of_plain_passes(
    backbone: Backbone, asked: list[TokenItem], adapter: str | None, limit: int
) -> None:
    """Few different tokens, so that prompts, continuations, and continuations of other prompts begin alike."""
    expected = [plainly(backbone, one.prompt, text, adapter) for one in asked for text in one.continuations]
    assert scored(backbone, asked, adapter, limit) == pytest.approx(expected, abs=2e-4)


def test_rows_of_different_lengths_and_adapters_share_a_pass(backbone: Backbone) -> None:
    rng = random.Random(0)
    asked = [
        TokenItem(tuple(rng.choices(range(10, 200), k=length)), ((20, 30, 40), (20, 31), (50,)))
        for length in (1, 5, 40, 100)
    ]
    trees = [tree for one in asked for tree in plant([one], 2048)]
    with torch.inference_mode():
        scores = score_trees(backbone, trees, ADAPTERS)
    for one, adapter, row in zip(asked, ADAPTERS, scores, strict=True):
        expected = [plainly(backbone, one.prompt, text, adapter) for text in one.continuations]
        assert [score.logprob for score in row] == pytest.approx(expected, abs=2e-4)
        assert [score.tokens for score in row] == [3, 2, 1]


def test_a_shared_prompt_is_stored_once() -> None:
    prompt = tuple(range(100))
    [tree] = plant([TokenItem(prompt, ((1, 2), (1, 3), (4,)))], 2048)
    assert len(tree.tokens) == 101  # the last token of a continuation is only predicted


def test_items_that_share_most_of_their_prompts_share_a_tree() -> None:
    question = tuple(range(100))
    asked = [TokenItem((*question, option), ((1,), (2,))) for option in (200, 201, 202)]
    [tree] = plant(asked, 2048)
    assert len(tree.tokens) == 103


def test_items_that_share_little_get_rows_of_their_own() -> None:
    header = tuple(range(10))
    asked = [TokenItem((*header, *range(start, start + 100)), ((1,),)) for start in (200, 400, 600)]
    assert [len(tree.tokens) for tree in plant(asked, 2048)] == [110, 110, 110]


def test_trees_are_bounded_but_a_single_path_may_be_longer() -> None:
    long = tuple(range(50))
    asked = [TokenItem(long, tuple((index, *range(100, 110)) for index in range(8)))]
    trees = plant(asked, limit=80)
    assert [len(tree.tokens) for tree in trees] == [80, 80, 70]
    assert sum(len(tree.scored) for tree in trees) == 8
    assert [len(tree.tokens) for tree in plant(asked, limit=10)] == [60] * 8


def test_the_same_continuation_asked_twice_is_answered_twice(backbone: Backbone) -> None:
    first, second = scored(backbone, [TokenItem((10, 11), ((12, 13), (12, 13)))], None)
    assert first == second


def test_all_next_tokens_together_have_probability_one(backbone: Backbone) -> None:
    vocabulary = backbone.model.config.vocab_size
    found = scored(backbone, [TokenItem((10, 11, 12), tuple((token,) for token in range(vocabulary)))], "care")
    assert sum(torch.tensor(found).exp().tolist()) == pytest.approx(1, abs=1e-4)


def test_a_tree_attends_to_ancestors_only() -> None:
    tree = TokenTree()
    tree.add((7, 8), (9, 1))
    tree.add((7, 8), (5, 1))
    depths, attends = tree.layout()
    assert tree.tokens == [7, 8, 9, 5]
    assert depths.tolist() == [0, 1, 2, 2]
    assert attends.tolist() == [
        [True, False, False, False],
        [True, True, False, False],
        [True, True, True, False],
        [True, True, False, True],
    ]
