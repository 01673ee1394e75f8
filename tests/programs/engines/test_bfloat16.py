"""How far the company of others moves a likelihood in bfloat16: the bound that `score_request` states."""

import random
from pathlib import Path

import pytest
import torch

from modplural.programs.engines.backbone import Backbone, load_backbone
from modplural.programs.engines.likelihood import TokenItem, plant, score_trees

BOUND = 1 / 16
"""Nats per token: one step of a bfloat16 number between 8 and 16, where the largest logits of the tiny model are."""

KEYS = (None, "care", "fairness", "liberty")


@pytest.fixture(scope="module")
def backbone(tiny_model: Path, tiny_adapters: dict[str, Path]) -> Backbone:
    with torch.inference_mode():
        model = load_backbone(tiny_model, "cpu", "bfloat16")
        for name, folder in tiny_adapters.items():
            model.load_adapter(name, folder)
    return model


def random_items(rng: random.Random, count: int) -> list[TokenItem]:
    """Prompts of 3 to 60 tokens, each with three continuations of 1 to 8."""

    def tokens(fewest: int, most: int) -> tuple[int, ...]:
        return tuple(rng.choices(range(3, 290), k=rng.randint(fewest, most)))

    return [TokenItem(tokens(3, 60), tuple(tokens(1, 8) for _ in range(3))) for _ in range(count)]


@pytest.mark.parametrize("seed", range(6))
def test_likelihoods_of_a_batch_are_those_of_solo_runs_within_the_bound(backbone: Backbone, seed: int) -> None:
    rng = random.Random(seed)
    trees = [plant([item], 2048)[0] for item in random_items(rng, 32)]
    keys = [rng.choice(KEYS) for _ in trees]
    with torch.inference_mode():
        together = score_trees(backbone, trees, keys)
        solo = [score_trees(backbone, [tree], [key])[0] for tree, key in zip(trees, keys, strict=True)]
    moved = [
        abs(ours.logprob - alone.logprob) / alone.tokens
        for row, single in zip(together, solo, strict=True)
        for ours, alone in zip(row, single, strict=True)
    ]
    assert len(moved) == 96
    assert max(moved) <= BOUND
    assert sum(moved) / len(moved) <= BOUND / 10
