"""How far the company of others moves a likelihood in bfloat16: the bounds that `score_request` states."""

import random
from collections.abc import Sequence
from importlib.resources import as_file
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer

from modplural.data.samples import sample
from modplural.data.shipped import shipped_adapters
from modplural.data.tasks import read_records
from modplural.programs.engines.backbone import Backbone, load_backbone
from modplural.programs.engines.likelihood import TokenItem, TokenTree, plant, score_trees
from modplural.programs.engines.models import resolve_model

BOUND = 1 / 16
"""Nats per token: one step of a bfloat16 number between 8 and 16, where the largest logits of the tiny model are."""

BOUND_OF_SMOLLM2 = 1 / 8
"""Nats per token: one step of a bfloat16 number between 16 and 32, where the largest logits of SmolLM2 are."""

KEYS = (None, "care", "fairness", "liberty")


@pytest.fixture(scope="module")
def tiny(tiny_model: Path, tiny_adapters: dict[str, Path]) -> Backbone:
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
def test_likelihoods_of_a_batch_are_those_of_solo_runs_within_the_bound(tiny: Backbone, seed: int) -> None:
    rng = random.Random(seed)
    moved = shifts(tiny, random_items(rng, 32), rng)
    assert len(moved) == 96
    assert max(moved) <= BOUND
    assert sum(moved) / len(moved) <= BOUND / 10


def test_so_are_those_of_the_embedded_lm_and_its_adapters(smollm2: str) -> None:
    folder = resolve_model(smollm2.removeprefix("local/")).path()
    with torch.inference_mode():
        model = load_backbone(folder, "cpu", "bfloat16")
        for name, adapter in shipped_adapters().items():
            model.load_adapter(name, adapter)
    moved = shifts(model, dilemmas(folder, 12), random.Random(0))
    assert len(moved) == 24
    assert max(moved) <= BOUND_OF_SMOLLM2
    assert sum(moved) / len(moved) <= BOUND_OF_SMOLLM2 / 4


def shifts(backbone: Backbone, items: Sequence[TokenItem], rng: random.Random) -> list[float]:
    """How far each likelihood of a batch, with adapters drawn for its rows, is from a solo run, in nats per token."""
    trees: list[TokenTree] = [plant([item], 2048)[0] for item in items]
    keys = [rng.choice(KEYS) for _ in trees]
    with torch.inference_mode():
        together = score_trees(backbone, trees, keys)
        solo = [score_trees(backbone, [tree], [key])[0] for tree, key in zip(trees, keys, strict=True)]
    return [
        abs(ours.logprob - alone.logprob) / alone.tokens
        for row, single in zip(together, solo, strict=True)
        for ours, alone in zip(row, single, strict=True)
    ]


def dilemmas(folder: Path, count: int) -> list[TokenItem]:
    """Scenarios of the sample with their two actions, in the tokens of the model in a folder."""
    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)

    def tokens(text: str) -> tuple[int, ...]:
        return tuple(tokenizer(text)["input_ids"])

    with as_file(sample("distributional-moralchoice")) as path:
        examples = read_records(path, "distributional-moralchoice", limit=count).examples()
    return [TokenItem(tokens(f"{one.query}\n"), tuple(map(tokens, one.options))) for one in examples]
