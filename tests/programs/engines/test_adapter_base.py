"""Whether an adapter belongs to a base, whatever names both have."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from modplural.programs.engines.adapter_base import belongs, check_plain, named_base
from modplural.programs.engines.lora_config import AdapterError
from modplural.programs.engines.weights import WeightsError

EMBEDDED, ON_THE_HUB = "smollm2-135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct"
IN_THE_CACHE = "/home/me/.cache/huggingface/hub/models--HuggingFaceTB--SmolLM2-135M-Instruct/snapshots/0123abc"


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No weights on this machine but those that a test names."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("modplural.programs.engines.embedded.find_spec", lambda package: None)


def naming(folder: Path, adapter: Path, base: Any) -> str:
    """A copy of an adapter that names another base."""
    copy = Path(shutil.copytree(adapter, folder / "adapter"))
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": base}))
    return str(copy)


def test_an_adapter_names_its_base(tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path) -> None:
    assert named_base("care") == ON_THE_HUB
    assert named_base(str(tiny_adapters["care"])) == str(tiny_model)
    nameless = naming(tmp_path, tiny_adapters["care"], None)
    assert named_base(nameless) is None
    (Path(nameless) / "adapter_config.json").write_text("[1]")
    assert named_base(nameless) is None
    (Path(nameless) / "adapter_config.json").write_text("{")
    with pytest.raises(WeightsError, match=r"its adapter_config\.json cannot be read"):
        named_base(nameless)
    with pytest.raises(WeightsError, match="no LoRA adapter 'none'"):
        named_base("none")


@pytest.mark.parametrize("named", [ON_THE_HUB, ON_THE_HUB.lower(), EMBEDDED, IN_THE_CACHE, f"/models/{EMBEDDED}/"])
@pytest.mark.parametrize("model", [EMBEDDED, ON_THE_HUB, f"/data/{ON_THE_HUB}", IN_THE_CACHE])
def test_one_base_has_many_names(named: str, model: str) -> None:
    assert belongs("care", model, named=named)


@pytest.mark.parametrize(
    ("named", "model"),
    [
        (ON_THE_HUB, "mistralai/Mistral-7B-Instruct-v0.1"),
        ("HuggingFaceTB/SmolLM2-135M", EMBEDDED),
        (EMBEDDED, "HuggingFaceTB/SmolLM2-360M-Instruct"),
    ],
)
def test_names_that_everybody_knows_tell_bases_apart(named: str, model: str) -> None:
    assert not belongs("care", model, named=named)


@pytest.mark.parametrize("named", ["/content/model", "model", None])
def test_where_names_say_nothing_shapes_do(
    named: str | None, tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny_model, tmp_path / "my-base"))
    assert belongs(str(tiny_adapters["care"]), str(other), named=named)
    assert not belongs("care", str(other), named=named)


@pytest.mark.parametrize("named", ["/content/model", None])
def test_what_nobody_can_tell_is_let_be(named: str | None) -> None:
    assert belongs("care", "mistralai/Mistral-7B-Instruct-v0.1", named=named)
    assert belongs("care", EMBEDDED, named=named)


@pytest.mark.parametrize("named", ["/other/project/tiny", "tiny", "owner/tiny-bnb-4bit"])
def test_shapes_that_do_not_fit_refuse_whatever_names_say(named: str, tiny_model: Path) -> None:
    assert not belongs("care", str(tiny_model), named=named)


@pytest.mark.parametrize("named", ["outputs/merged", "owner/another-model", ON_THE_HUB])
def test_shapes_that_fit_accept_whatever_names_say(
    named: str, tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    assert belongs(str(tiny_adapters["care"]), str(tiny_model), named=named)
    cached = tmp_path / "hub" / "models--owner--tiny"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text("0123abc")
    shutil.copytree(tiny_model, cached / "snapshots" / "0123abc")
    assert belongs(str(tiny_adapters["care"]), "owner/tiny", named=named)


@pytest.mark.parametrize("named", [f"unsloth/{ON_THE_HUB.split('/')[1]}-bnb-4bit", "outputs/merged", "./merged"])
def test_where_shapes_are_not_here_an_unclear_name_is_let_be(named: str) -> None:
    assert belongs("care", EMBEDDED, named=named)
    assert belongs("care", ON_THE_HUB, named=named)


def test_layers_of_other_names_say_nothing(tiny_model: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    other = Path(shutil.copytree(tiny_model, tmp_path / "other"))
    weights = {f"language.{name}": weight for name, weight in load_file(other / "model.safetensors").items()}
    save_file(weights, other / "model.safetensors", metadata={"format": "pt"})
    assert belongs("care", str(other), named=None)


def test_a_base_is_compared_by_shape_where_the_embedded_one_is_here(
    smollm2: str, tiny_adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from importlib.util import find_spec

    monkeypatch.setattr("modplural.programs.engines.embedded.find_spec", find_spec)
    assert belongs("care", EMBEDDED, named=None)
    assert not belongs(str(tiny_adapters["care"]), EMBEDDED, named="/content/model")


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"use_dora": True}, "use_dora=True, which cannot share a batch"),
        ({"modules_to_save": ["lm_head"]}, r"modules_to_save=\['lm_head'\]"),
        ({"lora_bias": True}, "lora_bias=True"),
        ({"peft_type": "IA3"}, "peft_type: Input should be 'LORA'"),
    ],
)
def test_an_adapter_that_the_engine_does_not_run_is_told(
    settings: dict[str, Any], reason: str, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    check_plain(str(tiny_adapters["care"]))
    copy = Path(shutil.copytree(tiny_adapters["care"], tmp_path / "copy"))
    config = json.loads((copy / "adapter_config.json").read_text())
    (copy / "adapter_config.json").write_text(json.dumps({**config, **settings}))
    with pytest.raises(AdapterError, match=reason):
        check_plain(str(copy))


def test_a_matrix_that_the_engine_does_not_know_is_told(tiny_adapters: dict[str, Path], tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    copy = Path(shutil.copytree(tiny_adapters["care"], tmp_path / "copy"))
    weights = load_file(copy / "adapter_model.safetensors")
    head = {"base_model.model.lm_head.weight": next(iter(weights.values()))}
    save_file({**weights, **head}, copy / "adapter_model.safetensors")
    with pytest.raises(AdapterError, match=r"'base_model\.model\.lm_head\.weight', which is not a LoRA matrix"):
        check_plain(str(copy))
