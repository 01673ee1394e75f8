"""Stacked adapters against PEFT's own model, and adapters that are refused before they touch anything."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from modplural.programs.engines.backbone import Backbone, load_backbone
from modplural.programs.engines.lora import AdapterError

IDS = torch.arange(20, 60).reshape(1, 40)
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"

Edit = Callable[[dict[str, torch.Tensor]], Any]


@torch.inference_mode()
def logits(backbone: Backbone, *adapters: str | None) -> torch.Tensor:
    """Logits of the same tokens in one row per adapter, shape (rows, tokens, vocabulary)."""
    backbone.adapters.route(adapters)
    found: torch.Tensor = backbone.model(IDS.expand(len(adapters), -1)).logits
    return found


@torch.inference_mode()
def peft_logits(base: Path, adapter: Path) -> torch.Tensor:
    found: torch.Tensor = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter)(IDS).logits[0]
    return found


def test_every_row_goes_through_its_own_adapter(
    backbone: Backbone, tiny_model: Path, tiny_adapters: dict[str, Path]
) -> None:
    names = [None, *tiny_adapters, None, *tiny_adapters]
    with torch.inference_mode():
        plain = AutoModelForCausalLM.from_pretrained(tiny_model)(IDS).logits[0]
    expected = [plain, *(peft_logits(tiny_model, folder) for folder in tiny_adapters.values())] * 2

    mixed = logits(backbone, *names)

    for row, wanted in zip(mixed, expected, strict=True):
        torch.testing.assert_close(row, wanted, atol=2e-4, rtol=1e-4)
    assert all((wanted - plain).abs().max() > 0.5 for wanted in expected[1:4])


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"use_rslora": True, "r": 4, "lora_alpha": 3}, id="rank-stabilized"),
        pytest.param({"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"1.self_attn.v_proj": 64}}, id="by name"),
        pytest.param({"rank_pattern": {r".*\.1\..*": 6}, "alpha_pattern": {"^model.layers.0.*": 1}}, id="by regex"),
        pytest.param({"init_lora_weights": "gaussian", "lora_dropout": 0.3}, id="settings of training"),
        pytest.param({"layers_to_transform": [1]}, id="some layers only"),
    ],
)
def test_scales_and_ranks_are_those_of_peft(settings: dict[str, Any], tiny_model: Path, tmp_path: Path) -> None:
    write_adapter(tmp_path, tiny_model, **settings)
    backbone = load_backbone(tiny_model, "cpu", "float32")
    backbone.load_adapter("tried", tmp_path)
    torch.testing.assert_close(
        logits(backbone, "tried", None)[0], peft_logits(tiny_model, tmp_path), atol=2e-4, rtol=1e-4
    )


def test_weights_are_in_memory_once(tiny_model: Path, tiny_adapters: dict[str, Path]) -> None:
    backbone = load_backbone(tiny_model, "cpu", "float32")
    before = bytes_of(backbone)
    for name, folder in tiny_adapters.items():
        backbone.load_adapter(name, folder)
        backbone.load_adapter(name, folder)
    adapters = sum(load.nbytes for folder in tiny_adapters.values() for load in load_file(folder / WEIGHTS).values())
    assert bytes_of(backbone) == before + adapters


def bytes_of(backbone: Backbone) -> int:
    storages = [tensor.untyped_storage() for tensor in [*backbone.model.parameters(), *backbone.model.buffers()]]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def write_adapter(folder: Path, base: Path, **settings: Any) -> None:
    config = LoraConfig(**{"r": 4, "lora_alpha": 8, "target_modules": ["q_proj", "v_proj"], **settings})
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), config)
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                torch.nn.init.normal_(weight, std=0.3)
    model.save_pretrained(folder)


@pytest.fixture
def copied(tiny_adapters: dict[str, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_adapters["care"], tmp_path / "copied"))


def refused(folder: Path, tiny_model: Path, reason: str) -> None:
    """The adapter is refused with the reason, and the model is what it was."""
    backbone = load_backbone(tiny_model, "cpu", "float32")
    before, modules = logits(backbone, None), [*backbone.model.modules()]
    with pytest.raises(AdapterError, match=reason) as caught:
        backbone.load_adapter("refused", folder)
    assert str(folder) in str(caught.value)
    assert all(ours is theirs for ours, theirs in zip(backbone.model.modules(), modules, strict=True))
    assert torch.equal(logits(backbone, None), before)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"use_dora": True}, "use_dora=True, which cannot share a batch"),
        ({"bias": "lora_only"}, "bias='lora_only'"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save=\['lm_head'\]"),
        ({"lora_bias": True}, "lora_bias=True"),
        ({"trainable_token_indices": [3]}, "trainable_token_indices"),
        ({"a_setting_of_tomorrow": 0.5}, "a_setting_of_tomorrow=0.5"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
        ({"init_lora_weights": "olora"}, "init_lora_weights"),
        ({"peft_type": "IA3"}, "peft_type: Input should be 'LORA'"),
        ({"lora_alpha": None}, "lora_alpha"),
        ({"r": 0}, "r: Input should be greater than 0"),
        ({"r": 3}, r"at rank 3 .* shapes \(3, 64\) and \(64, 3\), not \(2, 64\) and \(64, 2\)"),
        ({"rank_pattern": {"(": 2}}, "rank_pattern"),
    ],
)
def test_what_is_no_plain_lora_is_refused(
    settings: dict[str, Any], reason: str, copied: Path, tiny_model: Path
) -> None:
    config = json.loads((copied / CONFIG).read_text())
    (copied / CONFIG).write_text(json.dumps({**config, **settings}))
    refused(copied, tiny_model, reason)


FIRST = "base_model.model.model.layers.0.self_attn.q_proj"


def rename(old: str, new: str) -> Edit:
    def edit(weights: dict[str, torch.Tensor]) -> None:
        for key in [key for key in weights if key.startswith(old)]:
            weights[key.replace(old, new)] = weights.pop(key)

    return edit


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        pytest.param(lambda w: w.clear(), "holds no LoRA matrices", id="empty"),
        pytest.param(lambda w: w.pop(f"{FIRST}.lora_B.weight"), "only one of the two", id="half missing"),
        pytest.param(
            rename(FIRST, FIRST.replace("layers.0", "layers.9")), "changes 'model.layers.9", id="no such layer"
        ),
        pytest.param(rename(FIRST, f"{FIRST}.base"), "q_proj.base', which is no linear layer", id="inside a layer"),
        pytest.param(rename(FIRST, "base_model.model.lm_head"), "changes 'lm_head'", id="output head"),
        pytest.param(rename(FIRST, "base_model.model.model.norm"), "changes 'model.norm'", id="not linear"),
        pytest.param(rename(FIRST, "q_proj"), "'q_proj.lora_A.weight', which is not a LoRA matrix", id="foreign key"),
        pytest.param(lambda w: w[f"{FIRST}.lora_A.weight"].fill_(torch.nan), "hold NaN or infinite", id="NaN"),
        pytest.param(lambda w: w[f"{FIRST}.lora_B.weight"].fill_(torch.inf), "hold NaN or infinite", id="infinite"),
        pytest.param(
            lambda w: w.update({f"{FIRST}.lora_A.weight": torch.zeros(2)}), r"not \(2,\) and \(64, 2\)", id="a vector"
        ),
        pytest.param(
            lambda w: w.update({"base_model.model.lm_head.weight": torch.zeros(2, 2)}),
            "'base_model.model.lm_head.weight', which is not a LoRA matrix",
            id="a saved module",
        ),
    ],
)
def test_matrices_that_do_not_fit_are_refused(edit: Edit, reason: str, copied: Path, tiny_model: Path) -> None:
    weights = load_file(copied / WEIGHTS)
    edit(weights)
    save_file(weights, copied / WEIGHTS, metadata={"format": "pt"})
    refused(copied, tiny_model, reason)


def test_an_adapter_of_another_model_is_refused(misfit: Path, tiny_model: Path) -> None:
    refused(misfit, tiny_model, r"does not fit the base model.*shapes \(2, 64\) and \(64, 2\), not \(2, 65\)")


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"not weights at all" * 10])
def test_a_damaged_file_is_refused(content: bytes, copied: Path, tiny_model: Path) -> None:
    (copied / WEIGHTS).write_bytes(content)
    refused(copied, tiny_model, "cannot be read as safetensors")


def test_a_cut_file_is_refused(copied: Path, tiny_model: Path) -> None:
    content = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(content[: len(content) // 2])
    refused(copied, tiny_model, "cannot be read as safetensors")


@pytest.mark.parametrize("content", ["", "[]", '{"r": 8', "{}", "\u0000"])
def test_a_damaged_configuration_is_refused(content: str, copied: Path, tiny_model: Path) -> None:
    (copied / CONFIG).write_text(content)
    refused(copied, tiny_model, "no plain LoRA adapter: in adapter_config.json")


def test_a_missing_file_is_refused(copied: Path, tiny_model: Path) -> None:
    (copied / WEIGHTS).unlink()
    refused(copied, tiny_model, "cannot be read as safetensors")
    (copied / CONFIG).unlink()
    refused(copied, tiny_model, "no readable adapter_config.json")


def test_a_load_that_runs_out_of_memory_half_way_harms_no_later_one(
    tiny_model: Path, tiny_adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    backbone = load_backbone(tiny_model, "cpu", "float32")
    with torch.inference_mode():
        plain, calls = logits(backbone, None), [0]
        join = torch.cat

        def fail_late(*args: Any, **kwargs: Any) -> torch.Tensor:
            calls[0] += 1
            if calls[0] > 4:
                raise MemoryError("no room")
            return join(*args, **kwargs)

        with monkeypatch.context() as patch:
            patch.setattr(torch, "cat", fail_late)
            with pytest.raises(MemoryError):
                backbone.load_adapter("fairness", tiny_adapters["fairness"])
        for name in ("care", "fairness"):
            backbone.load_adapter(name, tiny_adapters[name])
        care, base, fairness = logits(backbone, "care", None, "fairness")

    torch.testing.assert_close(base, plain[0], atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(care, peft_logits(tiny_model, tiny_adapters["care"]), atol=2e-4, rtol=1e-4)
    torch.testing.assert_close(fairness, peft_logits(tiny_model, tiny_adapters["fairness"]), atol=2e-4, rtol=1e-4)


def test_what_overflows_in_one_row_stays_there(tiny_model: Path, copied: Path) -> None:
    weights = load_file(copied / WEIGHTS)
    for name, half in weights.items():
        half.fill_(1e38 if "lora_A" in name else 1e-30)
    save_file(weights, copied / WEIGHTS, metadata={"format": "pt"})
    backbone = load_backbone(tiny_model, "cpu", "float32")
    backbone.load_adapter("wild", copied)
    wild, base = logits(backbone, "wild", None)
    assert wild.isnan().any()
    torch.testing.assert_close(base, logits(backbone, None)[0], atol=2e-4, rtol=1e-4)
