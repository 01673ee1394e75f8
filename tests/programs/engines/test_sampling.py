"""Draws against the distributions they should follow, and their independence of company."""

import math
from collections import Counter
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from transformers.generation.logits_process import (
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from modplural.programs.engines.sampling import Draw, Sampling, choose_tokens

LOGITS = torch.tensor([2.0, 1.5, 1.2, 0.3, 0.0, -0.5, -1.0, -2.0, 1.9, 0.8])
DRAWS = 4000

samplings = st.builds(
    Sampling,
    temperature=st.sampled_from([0.0, 0.3, 1.0, 2.0]),
    top_p=st.sampled_from([1.0, 0.9, 0.5, 0.0]),
    top_k=st.sampled_from([None, 1, 3, 1000]),
    seed=st.integers(-5, 5),
)


def reference(logits: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """The distribution after transformers' own filters, in its order."""
    scores = TemperatureLogitsWarper(sampling.temperature)(None, logits[None])
    if sampling.top_k is not None:
        scores = TopKLogitsWarper(sampling.top_k)(None, scores)
    if sampling.top_p < 1:
        scores = TopPLogitsWarper(sampling.top_p)(None, scores)
    return scores[0].softmax(-1)


@pytest.mark.parametrize(
    "settings",
    [
        {"temperature": 1.0},
        {"temperature": 0.5},
        {"temperature": 2.0},
        {"temperature": 1.0, "top_k": 3},
        {"temperature": 1.0, "top_p": 0.7},
        {"temperature": 1.5, "top_k": 6, "top_p": 0.8},
    ],
)
def test_draws_follow_the_reference_distribution(settings: dict[str, Any]) -> None:
    sampling = Sampling(seed=1, **settings)
    rows = [Draw(Sampling(seed=seed, **settings)) for seed in range(DRAWS)]
    counts = Counter(choose_tokens(LOGITS.expand(DRAWS, -1), rows))

    expected = reference(LOGITS, sampling)
    possible = [token for token in range(len(LOGITS)) if expected[token] > 0]
    assert set(counts) <= set(possible)
    shares = torch.tensor([float(expected[token]) for token in possible], dtype=torch.float64)
    assert chisquare([counts[token] for token in possible], (shares / shares.sum() * DRAWS).tolist()).pvalue > 1e-3


def test_one_stream_follows_the_distribution_as_well() -> None:
    draw = Draw(Sampling(temperature=1.0, seed=5))
    counts = Counter(choose_tokens(LOGITS[None], [draw])[0] for _ in range(DRAWS))
    expected = reference(LOGITS, draw.sampling) * DRAWS
    assert (
        chisquare([counts[token] for token in range(len(LOGITS))], expected.double().tolist(), sum_check=False).pvalue
        > 1e-3
    )


@settings(deadline=None, max_examples=60)
@given(st.lists(samplings, min_size=1, max_size=6), st.integers(0, 2**16))
def test_company_changes_no_draw(chosen: list[Sampling], seed: int) -> None:
    logits = torch.randn(len(chosen), 3000, generator=torch.Generator().manual_seed(seed)) * 2
    together, alone = [Draw(one) for one in chosen], [Draw(one) for one in chosen]
    for _ in range(3):
        solo = [choose_tokens(logits[row : row + 1], [draw])[0] for row, draw in enumerate(alone)]
        assert choose_tokens(logits, together) == solo


def test_equal_seeds_draw_alike_and_others_do_not() -> None:
    logits = torch.zeros(3, 1000)
    first, again, other = choose_tokens(logits, [Draw(Sampling(1.0, seed=seed)) for seed in (3, 3, 4)])
    assert first == again != other
    assert len({choose_tokens(logits[:1], [Draw(Sampling(1.0))])[0] for _ in range(5)}) > 1


@pytest.mark.parametrize("sampling", [Sampling(), Sampling(1e-9), Sampling(1.0, top_k=1), Sampling(1.0, top_p=0.0)])
def test_the_most_likely_token_is_taken_where_nothing_else_is_left(sampling: Sampling) -> None:
    assert choose_tokens(LOGITS[None] * 1e4, [Draw(sampling)]) == [0]
    assert {choose_tokens(LOGITS[None], [Draw(sampling)])[0] for _ in range(20)} == {0}


def test_a_wide_nucleus_is_found_whole() -> None:
    flat = torch.zeros(5000)
    flat[4000:] = -math.inf
    draws = [Draw(Sampling(1.0, top_p=0.999, seed=seed)) for seed in range(200)]
    drawn = choose_tokens(flat.expand(200, -1), draws)
    assert max(drawn) < 4000
    assert len(set(drawn)) > 180


def test_tokens_that_are_impossible_are_never_drawn() -> None:
    logits = torch.full((500, 50), -math.inf)
    logits[:, 7] = 0.0
    assert set(choose_tokens(logits, [Draw(Sampling(2.0, seed=seed)) for seed in range(500)])) == {7}
