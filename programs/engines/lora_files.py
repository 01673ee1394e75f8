"""Finds a LoRA adapter by name, folder or hub id and reads its revision off its files; it never loads the weights."""

from dataclasses import dataclass
from pathlib import Path

from ...data.shipped import shipped_adapters
from .hub import cached_snapshot, find_snapshot, is_hub_id
from .weights import ADAPTER, WeightsError, check_folder, files_revision, matching_files


@dataclass(frozen=True)
class AdapterSource:
    """A LoRA adapter, found and identified.

    Attributes:
        name: The name under which it comes along, the folder's own name, or the hub id.
        path: The local folder with its configuration and weights.
        revision: Digest over both, 12 hexadecimal digits.
    """

    name: str
    path: Path
    revision: str


def resolve_adapter(adapter: str) -> AdapterSource:
    """Find an adapter; one from the hub is downloaded unless the local hub cache has it.

    Args:
        adapter: The name of one that comes along such as `care`, a folder that PEFT saved, or a hub id. A name wins
            over a folder of that name (write `./name` for the folder), and a folder over a hub id.

    Raises:
        WeightsError: It is not there, incomplete, or has its weights as a pickle.
    """
    shipped = shipped_adapters()
    if adapter in shipped:
        return _source(adapter, shipped[adapter])
    folder = Path(adapter).expanduser()
    if folder.is_dir():
        return _source(folder.resolve().name, folder.resolve())
    if is_hub_id(adapter):
        return _source(adapter, find_snapshot(adapter, ADAPTER).path())
    raise WeightsError(
        f"no LoRA adapter {adapter!r}: give the name of one that comes along ({', '.join(shipped)}), an existing folder"
        " that PEFT saved, or a hub id (owner/name)"
    )


def adapter_folder(adapter: str) -> Path | None:
    """Where an adapter is, without downloading it; None where only the hub has it.

    Raises:
        WeightsError: As for `resolve_adapter`.
    """
    if not is_hub_id(adapter) or Path(adapter).is_dir():
        return resolve_adapter(adapter).path  # which downloads nothing then
    cached = cached_snapshot(adapter, ADAPTER)
    if cached is None:
        find_snapshot(adapter, ADAPTER)
    return cached


def adapter_revision(folder: Path) -> str:
    """The revision of the files that are in an adapter's folder now."""
    # Read whole, unlike a base model: adapters are small, and people compare many that differ little.
    return files_revision(matching_files(folder, ADAPTER), sampled=False)


def _source(name: str, folder: Path) -> AdapterSource:
    check_folder(folder, ADAPTER)
    return AdapterSource(name, folder, adapter_revision(folder))
