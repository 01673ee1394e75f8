"""Weights are counted by their headers, and what is missing says why, without a network."""

import shutil
from pathlib import Path

import pytest
from transformers import AutoModelForCausalLM

from modplural.programs.engines.embedded import EMBEDDED
from modplural.programs.engines.footprint import adapter_footprint, count_parameters, model_footprint
from modplural.programs.engines.models import resolve_model
from modplural.programs.engines.weights import MODEL


def test_a_model_is_counted_whole_or_in_shards(tiny_model: Path, tmp_path: Path) -> None:
    model = AutoModelForCausalLM.from_pretrained(tiny_model)
    model.save_pretrained(tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    expected = sum(weight.numel() for weight in model.parameters())
    assert model_footprint(str(tiny_model)) == (str(tiny_model), expected, None, False)
    assert count_parameters(tmp_path, MODEL) == expected


def test_an_adapter_is_counted(tiny_adapters: dict[str, Path]) -> None:
    found = adapter_footprint(str(tiny_adapters["care"]))
    assert found.missing is None
    assert found.parameters == 2 * 2 * (64 + 64 + 64 + 32)  # layers x rank x (q: in and out, v: in and out)


def test_the_embedded_model_is_known_without_its_files(smollm2: str) -> None:
    (name,) = EMBEDDED
    assert model_footprint(name).parameters == count_parameters(resolve_model(name).path(), MODEL)


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.mark.usefixtures("empty_cache")
def test_what_only_the_hub_has_is_missing_offline() -> None:
    found = model_footprint("mistralai/Mistral-7B-Instruct-v0.1")
    assert (found.parameters, found.remote) == (7_241_732_096, False)
    assert "the hub cannot be asked" in str(found.missing)
    assert model_footprint("owner/model").parameters is None
    assert "no LoRA adapter 'owner/name'" in str(adapter_footprint("owner/name").missing)


def test_mistakes_are_told(tiny_adapters: dict[str, Path], tmp_path: Path) -> None:
    assert "no model 'none'" in str(model_footprint("none").missing)
    assert "no LoRA adapter 'none'" in str(adapter_footprint("none").missing)
    damaged = Path(shutil.copytree(tiny_adapters["care"], tmp_path / "damaged"))
    (damaged / "adapter_model.safetensors").write_bytes(b"not this")
    assert "is damaged" in str(adapter_footprint(str(damaged)).missing)
