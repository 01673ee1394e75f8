"""Names of base models: which mean one, which mean two, and which say nothing."""

import shutil
from pathlib import Path

import pytest

from modplural.programs.engines.base_names import is_public, is_quantized, same_base

MISTRAL, EMBEDDED = "mistralai/Mistral-7B-Instruct-v0.1", "smollm2-135m-instruct"


@pytest.mark.parametrize(
    "copy",
    [
        f"{owner}/Mistral-7B-Instruct-v0.1-{ending}"
        for owner, ending in (
            ("unsloth", "bnb-4bit"),
            ("unsloth", "unsloth-bnb-4bit"),
            ("someone", "4bit"),
            ("someone", "8bit"),
            ("TheBloke", "GPTQ"),
            ("TheBloke", "GPTQ-Int4"),
            ("TheBloke", "AWQ"),
            ("TheBloke", "GGUF"),
            ("neuralmagic", "FP8"),
        )
    ],
)
def test_a_quantized_copy_is_its_base(copy: str) -> None:
    assert is_quantized(copy)
    assert same_base(copy, MISTRAL)
    assert same_base(MISTRAL.lower(), copy)
    assert same_base(copy, "mistralai/Mistral-7B-Instruct-v0.2") is False


@pytest.mark.parametrize("name", [MISTRAL, EMBEDDED, "owner/model-bits", "Qwen/Qwen2.5-0.5B", "google/gemma-2-9b-it"])
def test_what_ends_otherwise_is_no_quantized_copy(name: str) -> None:
    assert not is_quantized(name)


@pytest.mark.parametrize(
    "path",
    [
        "outputs/merged",
        "models/smollm2",
        "checkpoints/last",
        "my-run/checkpoint-500",
        "my-run/merged_16bit",
        "my-run/final",
        "./x",
        "../x",
        "/models/x",
        "~/models/x",
        "model",
        "a/b/c",
    ],
)
def test_a_path_means_something_else_to_everybody(path: str) -> None:
    assert not is_public(path)
    assert same_base(path, MISTRAL) is None
    assert same_base(EMBEDDED, path) is None


@pytest.mark.parametrize("name", [MISTRAL, EMBEDDED, "Qwen/Qwen2.5-0.5B", "owner/base-model"])
def test_a_hub_id_means_the_same_to_everybody(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_public(name)
    if "/" in name:
        (tmp_path / name).parent.mkdir()
        assert not is_public(name)


def test_one_folder_goes_by_two_names(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(tiny_model)
    shutil.copytree(tiny_model, tmp_path / "copied")
    assert same_base(str(tmp_path / "linked"), str(tiny_model))
    assert same_base(str(tmp_path / "copied"), str(tiny_model)) is None
