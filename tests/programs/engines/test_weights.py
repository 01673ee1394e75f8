import json
import shutil
from pathlib import Path

import pytest

from modplural.programs.engines.weights import (
    ADAPTER,
    MODEL,
    SAMPLED_BYTES,
    WeightsError,
    check_folder,
    files_revision,
    matching_files,
)


def test_a_saved_model_and_a_saved_adapter_pass(tiny_model: Path, tiny_adapters: dict[str, Path]) -> None:
    check_folder(tiny_model, MODEL)
    check_folder(tiny_adapters["care"], ADAPTER)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ([], "no config.json; it holds nothing"),
        (["adapter_config.json", "adapter_model.safetensors"], "not a model: it has no config.json; it holds adapter_"),
        (["config.json", "tokenizer.json"], "has no weights: expected model.safetensors or"),
        (["config.json", "pytorch_model.bin"], r"pickles only \(pytorch_model.bin\), which run code"),
    ],
)
def test_what_is_no_model_is_refused_with_the_reason(tmp_path: Path, names: list[str], reason: str) -> None:
    for name in names:
        (tmp_path / name).write_text("{}")

    with pytest.raises(WeightsError, match=reason):
        check_folder(tmp_path, MODEL)


def test_a_pickle_beside_safetensors_is_no_reason_to_refuse(tmp_path: Path) -> None:
    for name in ("config.json", "model.safetensors", "training_args.bin"):
        (tmp_path / name).write_text("{}")

    check_folder(tmp_path, MODEL)

    assert [path.name for path in matching_files(tmp_path, MODEL)] == ["config.json", "model.safetensors"]


def test_a_missing_shard_is_named(tmp_path: Path) -> None:
    weights = {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": weights}))
    (tmp_path / weights["a"]).write_bytes(b"weights")

    with pytest.raises(WeightsError, match=r"names model-00002-of-00002\.safetensors"):
        check_folder(tmp_path, MODEL)


def test_revision_follows_content_and_not_place(tiny_model: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(tiny_model, tmp_path / "elsewhere"))
    original = files_revision(matching_files(tiny_model, MODEL), sampled=True)

    assert files_revision(matching_files(copy, MODEL), sampled=True) == original

    (copy / "README.md").write_text("words about the model")
    assert files_revision(matching_files(copy, MODEL), sampled=True) == original

    (copy / "chat_template.jinja").write_text("{{ messages[0]['content'] }}")
    assert files_revision(matching_files(copy, MODEL), sampled=True) != original


@pytest.mark.parametrize("sampled", [True, False])
def test_one_byte_of_a_small_file_changes_its_revision(tmp_path: Path, sampled: bool) -> None:
    file = tmp_path / "weights"
    seen = set()
    for position in (None, 0, 40_000, 99_999):
        content = bytearray(100_000)
        if position is not None:
            content[position] = 1
        file.write_bytes(content)
        seen.add(files_revision([file], sampled=sampled))

    assert len(seen) == 4


def test_a_large_file_is_sampled_from_its_first_to_its_last_byte(tmp_path: Path) -> None:
    file = tmp_path / "weights"
    size = 10 * SAMPLED_BYTES + 1
    with file.open("wb") as sparse:
        sparse.truncate(size)
    untouched = files_revision([file], sampled=True)

    for position in (0, size - 1):
        _write_byte(file, position, b"\1")
        assert files_revision([file], sampled=True) != untouched
        _write_byte(file, position, b"\0")
    # A single byte between two chunks goes unseen: the price of a quick look, stated in the docstring.
    _write_byte(file, 100_000, b"\1")
    assert files_revision([file], sampled=True) == untouched


def _write_byte(file: Path, position: int, value: bytes) -> None:
    with file.open("r+b") as handle:
        handle.seek(position)
        handle.write(value)
