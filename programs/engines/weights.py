"""What makes a folder a usable model or adapter, and how its revision is read off its files.

The one place that says which files count, why pickles are refused and what a revision covers. It never loads weights
and does not know where a folder came from.
"""

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

REVISION_DIGITS = 12
"""Hexadecimal digits of a revision in a model string: 48 bits tell apart far more weights than anyone keeps."""

SAMPLED_BYTES = 16 * 2**20
_CHUNK_BYTES = 32 * 2**10


class WeightsError(ValueError):
    """Weights that cannot be used: not found, incomplete, in a refused format, or with nowhere to be stored."""


@dataclass(frozen=True)
class Layout:
    """The files that make a kind of weights.

    Attributes:
        kind: What the files make, for error messages.
        config: The file that must be there.
        weights: The safetensors file or index; one of them must be there.
        patterns: Globs of all files that matter: what is downloaded, and what the revision covers.
        saving: Python expression that writes such weights as safetensors, for error messages.
    """

    kind: str
    config: str
    weights: tuple[str, ...]
    patterns: tuple[str, ...]
    saving: str


MODEL = Layout(
    kind="model",
    config="config.json",
    weights=("model.safetensors", "model.safetensors.index.json"),
    patterns=("model*.safetensors", "*.json", "*.jinja", "tokenizer.model", "merges.txt", "vocab.txt"),
    saving="AutoModelForCausalLM.from_pretrained(...).save_pretrained(folder)",
)
ADAPTER = Layout(
    kind="LoRA adapter",
    config="adapter_config.json",
    weights=("adapter_model.safetensors",),
    patterns=("adapter_config.json", "adapter_model.safetensors"),
    saving="PeftModel.from_pretrained(...).save_pretrained(folder)",
)


def check_names(source: str, names: Collection[str], layout: Layout) -> None:
    """Check by their names alone that the files of `source` make what `layout` says.

    Raises:
        WeightsError: The configuration or the weights are missing, or the weights are pickles.
    """
    held = f"it holds {', '.join(sorted(names)[:8]) or 'nothing'}"
    if layout.config not in names:
        raise WeightsError(f"{source!r} is not a {layout.kind}: it has no {layout.config}; {held}")
    if any(name in names for name in layout.weights):
        return
    pickles = sorted(name for name in names if name.endswith((".bin", ".pt", ".pth")))
    if pickles:
        raise WeightsError(
            f"{source!r} has its weights as pickles only ({', '.join(pickles[:3])}), which run code when they are"
            f" loaded and are refused; write them as safetensors once, where you trust them: {layout.saving}"
        )
    raise WeightsError(f"{source!r} has no weights: expected {' or '.join(layout.weights)}; {held}")


def check_folder(folder: Path, layout: Layout) -> None:
    """Check that a folder holds what `layout` says, with every file that its index of shards names.

    Raises:
        WeightsError: Something is missing, or the weights are pickles.
    """
    names = {path.name for path in folder.iterdir()}
    check_names(str(folder), names, layout)
    for index in names.intersection(layout.weights):
        if index.endswith(".json"):
            shards = set(json.loads((folder / index).read_text(encoding="utf-8"))["weight_map"].values())
            if missing := sorted(shards - names):
                raise WeightsError(
                    f"'{folder}' is incomplete: {index} names {', '.join(missing)}; copy the folder again"
                )


def matching_files(folder: Path, layout: Layout) -> list[Path]:
    """List the files of a folder that make its model or adapter, by name."""
    return sorted({path for pattern in layout.patterns for path in folder.glob(pattern)})


def files_revision(files: Iterable[Path], *, sampled: bool) -> str:
    """Digest files by name, size and content: the same wherever they lie, another one when they change.

    Args:
        files: The files, in a fixed order.
        sampled: Read of each file at most 16 MiB, in chunks spread evenly from its first to its last byte, so that
            gigabytes take a fraction of a second. That is enough to keep caches of replies apart, because training or
            merging changes weights throughout; it is no protection against somebody who wants to deceive.
    """
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name}\0{size}\0".encode())
        with path.open("rb") as file:
            for chunk in _chunks(file, size, SAMPLED_BYTES if sampled else size):
                digest.update(chunk)
    return digest.hexdigest()[:REVISION_DIGITS]


def _chunks(file: BinaryIO, size: int, limit: int) -> Iterator[bytes]:
    count = -(-size // _CHUNK_BYTES)
    read = min(count, -(-limit // _CHUNK_BYTES))
    for number in range(read):
        file.seek(number * (count - 1) // max(read - 1, 1) * _CHUNK_BYTES)
        yield file.read(_CHUNK_BYTES)
