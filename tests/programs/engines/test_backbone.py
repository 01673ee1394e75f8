"""Other architectures than the tiny Llama: sliding windows, biased layers, tied heads, and those that are refused."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import dspy
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import (
    AutoTokenizer,
    FalconConfig,
    FalconForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    Phi3ForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from modplural.programs.engines.backbone import Backbone, load_backbone
from modplural.programs.engines.generation import Generations, GenerationSpec, Row
from modplural.programs.engines.likelihood import TokenItem, plant, score_trees
from modplural.programs.engines.local import local_lm
from modplural.programs.engines.sampling import Sampling
from modplural.programs.engines.weights import WeightsError

SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "initializer_range": 0.2,
}
PROMPTS = [[5 + i % 7, *range(20, 20 + n)] for i, n in enumerate((3, 30, 12, 50))]


def make(cls: Any, config: Any, seed: int = 0) -> PreTrainedModel:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = cls(config)
        for name, weight in model.named_parameters():
            if name.endswith("bias"):
                torch.nn.init.normal_(weight, std=0.5)
    return model.eval()


@torch.inference_mode()
def generate(backbone: Backbone, prompts: list[list[int]], adapters: list[str | None], tokens: int) -> list[list[int]]:
    rows = [
        Row(GenerationSpec(tuple(prompt), adapter, tokens, Sampling()))
        for prompt, adapter in zip(prompts, adapters, strict=True)
    ]
    generations = Generations(backbone, 64, 10**6)
    generations.join(rows[:2])
    generations.step()
    generations.join(rows[2:])
    while generations.rows:
        generations.step()
    return [list(row.result.tokens) for row in rows if row.result]


def reference(model: Any, prompt: list[int], tokens: int) -> list[int]:
    """Greedy decoding by plain forward passes over everything so far."""
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(tokens):
            ids.append(int(model(torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def likelihood(model: Any, prompt: list[int], continuation: list[int]) -> float:
    with torch.inference_mode():
        logprobs = model(torch.tensor([[*prompt, *continuation]]), use_cache=False).logits[0].log_softmax(-1)
    return sum(float(logprobs[len(prompt) - 1 + i, token]) for i, token in enumerate(continuation))


@torch.inference_mode()
def scored(backbone: Backbone, prompt: list[int], continuations: list[list[int]]) -> list[float]:
    trees = plant([TokenItem(tuple(prompt), tuple(map(tuple, continuations)))], 2048)
    return [score.logprob for scores in score_trees(backbone, trees, [None] * len(trees)) for score in scores]


def test_a_sliding_window_is_respected(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    windowed = make(MistralForCausalLM, MistralConfig(vocab_size=len(tokenizer), sliding_window=16, **SHAPE))
    backbone = Backbone(windowed, tokenizer)
    expected = [reference(windowed, prompt, 40) for prompt in PROMPTS]

    assert generate(backbone, PROMPTS, [None] * 4, 40) == expected
    unlimited = make(MistralForCausalLM, MistralConfig(vocab_size=len(tokenizer), sliding_window=None, **SHAPE))
    assert [reference(unlimited, prompt, 40) for prompt in PROMPTS] != expected

    continuations = [[7, 8, 9], [7, 9], list(range(60, 90))]
    wanted = [likelihood(windowed, PROMPTS[3], continuation) for continuation in continuations]
    assert scored(backbone, PROMPTS[3], continuations) == pytest.approx(wanted, abs=1e-3)


def test_biased_layers_and_a_tied_head_take_adapters(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = Qwen2Config(vocab_size=len(tokenizer), tie_word_embeddings=True, **SHAPE)
    tuned = get_peft_model(
        make(Qwen2ForCausalLM, config), LoraConfig(r=4, target_modules=["q_proj", "k_proj", "v_proj", "down_proj"])
    )
    for name, weight in tuned.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight, std=0.3, generator=torch.Generator().manual_seed(1))
    tuned.save_pretrained(tmp_path)
    backbone = Backbone(make(Qwen2ForCausalLM, config), tokenizer)
    before = sum(weight.numel() for weight in backbone.model.parameters())
    with torch.inference_mode():
        backbone.load_adapter("tuned", tmp_path)

    plain = make(Qwen2ForCausalLM, config)
    models: list[Any] = [plain, PeftModel.from_pretrained(make(Qwen2ForCausalLM, config), tmp_path)]
    expected = [reference(models[i % 2], prompt, 20) for i, prompt in enumerate(PROMPTS)]
    assert generate(backbone, PROMPTS, [None, "tuned", None, "tuned"], 20) == expected
    assert reference(models[1], PROMPTS[0], 20) != expected[0]
    assert sum(weight.numel() for weight in backbone.model.parameters()) == before
    assert backbone.model.get_input_embeddings().weight is backbone.model.get_output_embeddings().weight


def test_learned_positions_work(tiny_model: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=64, n_layer=2, n_head=4, n_positions=256, initializer_range=0.2
    )
    model = make(GPT2LMHeadModel, config)
    expected = [reference(model, prompt, 20) for prompt in PROMPTS]
    assert generate(Backbone(model, tokenizer), PROMPTS, [None] * 4, 20) == expected


def test_a_prompt_beyond_the_short_factors_of_a_longrope_model_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    rope = {"rope_type": "longrope", "rope_theta": 1e4, "short_factor": [1.0] * 8, "long_factor": [4.0, *range(5, 12)]}
    config = Phi3Config(
        vocab_size=len(tokenizer),
        original_max_position_embeddings=64,
        rope_parameters=rope,
        pad_token_id=0,
        **SHAPE,
    )
    make(Phi3ForCausalLM, config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    lm = local_lm(f"local/{tmp_path}", device="cpu", dtype="float32", max_tokens=12, cache=False, temperature=0.0)
    short, long = "what is right?", "word " * 30
    alone = lm(short)
    with ThreadPoolExecutor(2) as together:
        beyond, beside = together.submit(lm, long), together.submit(lm, short)
        assert beside.result() == alone
        with pytest.raises(dspy.ContextWindowExceededError, match="context holds 64"):
            beyond.result()


@pytest.mark.parametrize(
    ("cls", "config"),
    [
        pytest.param(
            Gemma3ForCausalLM,
            Gemma3TextConfig(
                vocab_size=300,
                head_dim=16,
                sliding_window=16,
                **{**SHAPE, "num_hidden_layers": 6},
            ),
            id="several kinds of attention",
        ),
        pytest.param(
            FalconForCausalLM,
            FalconConfig(vocab_size=300, hidden_size=64, num_hidden_layers=1, num_attention_heads=4, alibi=True),
            id="positions in the mask",
        ),
    ],
)
def test_models_whose_rows_cannot_share_a_batch_are_refused(cls: Any, config: Any, tiny_model: Path) -> None:
    with pytest.raises(WeightsError, match=rf"does not run models like this one of type '{config.model_type}'.*vLLM"):
        Backbone(make(cls, config), AutoTokenizer.from_pretrained(tiny_model))


def test_frequencies_that_change_with_the_length_of_a_batch_are_refused(tiny_model: Path) -> None:
    rope = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    model = make(LlamaForCausalLM, LlamaConfig(vocab_size=300, rope_parameters=rope, **SHAPE))
    with pytest.raises(WeightsError, match=r"rope type is 'dynamic', as that of this 'llama'; serve it with vLLM"):
        Backbone(model, AutoTokenizer.from_pretrained(tiny_model))


def test_loading_restores_the_users_progress_bars(tiny_model: Path) -> None:
    from transformers.utils import logging

    assert logging.is_progress_bar_enabled()
    load_backbone(tiny_model, "cpu", "float32")
    assert logging.is_progress_bar_enabled()


@pytest.mark.skipif(not Path("/proc/self/maps").is_file(), reason="what a process has mapped is told by Linux alone")
def test_weights_do_not_stay_mapped_beside_what_adapters_make_of_them(tiny_model: Path) -> None:
    backbone = load_backbone(tiny_model, "cpu", "float32")
    assert backbone.device.type == "cpu"
    assert str(tiny_model) not in Path("/proc/self/maps").read_text()
