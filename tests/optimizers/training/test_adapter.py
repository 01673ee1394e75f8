"""The model card: its metadata is YAML whatever is in it, and claims no licence that nobody gave."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

from modplural.data.shipped import shipped_adapters
from modplural.optimizers.training.adapter import write_adapter


@pytest.fixture
def model(tiny_model: Path) -> Any:
    plain = AutoModelForCausalLM.from_pretrained(tiny_model, local_files_only=True)
    return get_peft_model(plain, LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM"))


def head(folder: Path) -> dict[str, Any]:
    _, text, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    return dict(yaml.safe_load(text))


@pytest.mark.filterwarnings("ignore")  # PEFT would look into the base
@pytest.mark.parametrize("license", [None, "", "cc-by-4.0", "ours: see the corpus"])
def test_a_card_says_of_the_licence_what_was_given(license: str | None, model: Any, tmp_path: Path) -> None:
    write_adapter(model, "owner/base", "fair", license, {"epochs": 4, "epochs_done": 3.0}, tmp_path / "fair")
    assert head(tmp_path / "fair").get("license") == (license or None)
    card = (tmp_path / "fair" / "README.md").read_text()
    assert "| epochs | 4 |\n| epochs done | 3 |\n" in card
    assert "apache" not in card


@pytest.mark.filterwarnings("ignore")
def test_metadata_is_read_as_it_was_given(model: Any, tmp_path: Path) -> None:
    write_adapter(model, "a: [base]", "fair", None, {}, tmp_path / "fair")
    tags = ["modplural", "lora", "pluralistic-alignment"]
    assert head(tmp_path / "fair") == {"library_name": "peft", "base_model": "a: [base]", "tags": tags}


def test_the_adapters_that_come_along_have_the_licence_of_the_project() -> None:
    assert {head(folder)["license"] for folder in shipped_adapters().values()} == {"apache-2.0"}
