import shutil
from importlib import resources
from pathlib import Path

import pytest
from safetensors.numpy import load_file, save_file

from modplural import data
from modplural.data.corpus import read_corpus
from modplural.data.shipped import shipped_adapters
from modplural.programs.engines.lora_files import AdapterSource, resolve_adapter
from modplural.programs.engines.weights import WeightsError


def test_an_adapter_is_named_by_its_folder_and_told_apart_by_content(tiny_adapters: dict[str, Path]) -> None:
    found = [resolve_adapter(str(folder)) for folder in tiny_adapters.values()]

    assert [source.name for source in found] == list(tiny_adapters)
    assert [source.path for source in found] == list(tiny_adapters.values())
    assert len({source.revision for source in found}) == len(tiny_adapters)


def test_revision_changes_with_one_weight_and_stays_when_the_folder_moves(
    tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(shutil.copytree(tiny_adapters["care"], tmp_path / "care"))
    original = resolve_adapter(str(tiny_adapters["care"])).revision
    assert resolve_adapter(str(folder)).revision == original

    weights = load_file(folder / "adapter_model.safetensors")
    next(iter(weights.values()))[0, 0] += 1
    save_file(weights, folder / "adapter_model.safetensors", metadata={"format": "pt"})

    assert resolve_adapter(str(folder)).revision != original


def test_revision_changes_with_the_configuration(tiny_adapters: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_adapters["care"], tmp_path / "care"))
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace('"lora_alpha": 4', '"lora_alpha": 16'))

    assert resolve_adapter(str(folder)).revision != resolve_adapter(str(tiny_adapters["care"])).revision


def test_a_pickled_adapter_is_refused_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text("{}")
    (tmp_path / "adapter_model.bin").write_bytes(b"")

    with pytest.raises(WeightsError, match=r"pickles only \(adapter_model.bin\), which run code .* PeftModel"):
        resolve_adapter(str(tmp_path))


def test_a_model_is_no_adapter(tiny_model: Path) -> None:
    with pytest.raises(WeightsError, match=r"is not a LoRA adapter: it has no adapter_config.json"):
        resolve_adapter(str(tiny_model))


def test_an_adapter_that_is_nowhere_says_what_would_do() -> None:
    with pytest.raises(
        WeightsError, match=r"no LoRA adapter 'cares': .* \(authority, care, .*\), an existing .* hub id"
    ):
        resolve_adapter("cares")


def test_adapters_that_come_along_are_found_by_name_and_trained_on_the_corpora_as_they_are() -> None:
    shipped = shipped_adapters()
    corpora = Path(str(resources.files(data))) / "communities"

    assert list(shipped) == sorted(folder.name for folder in corpora.iterdir() if folder.is_dir())
    assert sum(file.stat().st_size for folder in shipped.values() for file in folder.iterdir()) < 15e6
    for name, folder in shipped.items():
        assert resolve_adapter(name) == AdapterSource(name, folder, resolve_adapter(str(folder)).revision)
        digest = read_corpus(corpora / name / "train.jsonl").digest
        assert f"| corpus digest | {digest} |" in (folder / "README.md").read_text("utf-8")


def test_a_name_wins_over_a_folder_which_a_path_reaches(
    tiny_adapters: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(tiny_adapters["care"], tmp_path / "care")
    monkeypatch.chdir(tmp_path)

    assert resolve_adapter("care").path == shipped_adapters()["care"]
    assert resolve_adapter("./care").path == tmp_path / "care"
