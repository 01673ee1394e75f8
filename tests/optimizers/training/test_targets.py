"""Targets: what is adapted of bases that call their layers otherwise than Llama, and what is refused."""

from pathlib import Path
from typing import Any

import pytest
from transformers import GPT2Config, GPTNeoXConfig, LlamaConfig, Phi3Config

from modplural.optimizers.training import TargetsError
from modplural.optimizers.training.targets import find_targets
from modplural.programs.engines.weights import WeightsError

SHAPE: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
}
LLAMA = LlamaConfig(**SHAPE)
PHI = Phi3Config(pad_token_id=0, **SHAPE)
NEOX = GPTNeoXConfig(**SHAPE)


@pytest.mark.parametrize(
    ("config", "adapted"),
    [
        (LLAMA, {"q_proj", "v_proj", "o_proj", "up_proj", "down_proj"}),
        (PHI, {"qkv_proj", "o_proj", "gate_up_proj", "down_proj"}),
        (NEOX, {"query_key_value", "dense", "dense_h_to_4h", "dense_4h_to_h"}),
    ],
    ids=lambda value: getattr(value, "model_type", ""),
)
def test_a_base_is_adapted_by_the_layers_that_it_has(config: Any, adapted: set[str], tmp_path: Path) -> None:
    config.save_pretrained(tmp_path)
    assert set(find_targets(tmp_path, None)) == adapted


@pytest.mark.parametrize("named", [("k_proj",), ("self_attn.q_proj", "gate_proj"), ("layers.1.mlp.up_proj",)])
def test_layers_that_are_named_are_taken(named: tuple[str, ...], tmp_path: Path) -> None:
    LLAMA.save_pretrained(tmp_path)
    assert find_targets(tmp_path, named) == named


@pytest.mark.parametrize(
    ("named", "adapted"),
    [
        (("gate_proj", "self_attn.q_proj"), ("self_attn.q_proj", "gate_proj")),
        (("down_proj", "up_proj", "o_proj", "v_proj", "q_proj"), None),
        (("v_proj", "q_proj", "v_proj"), ("q_proj", "v_proj")),
        (("self_attn.q_proj", "q_proj"), ("q_proj", "self_attn.q_proj")),
    ],
)
def test_the_order_in_which_layers_are_named_does_not_matter(
    named: tuple[str, ...], adapted: tuple[str, ...] | None, tmp_path: Path
) -> None:
    LLAMA.save_pretrained(tmp_path)
    assert find_targets(tmp_path, named) == find_targets(tmp_path, named[::-1]) == find_targets(tmp_path, adapted)


@pytest.mark.parametrize("name", ["q_proj", "proj", "lm_head", "embed_tokens", ""])
def test_one_layer_that_is_not_there_is_refused_among_others(name: str, tmp_path: Path) -> None:
    PHI.save_pretrained(tmp_path)
    with pytest.raises(
        TargetsError, match=f"no linear layer '{name}' .* has (o_proj|qkv_proj|gate_up_proj|down_proj), "
    ):
        find_targets(tmp_path, ("down_proj", name))


def test_a_base_without_linear_layers_is_refused(tmp_path: Path) -> None:
    GPT2Config(vocab_size=300, n_embd=64, n_layer=1, n_head=4).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match=r"type 'gpt2' have no linear layers .* name a base of another type"):
        find_targets(tmp_path, None)
