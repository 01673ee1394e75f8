"""Tables of datasets on the Hugging Face hub: out of its local cache where they are, else by the `datasets` library.

What was fetched once is used as it is, also without a network. This file knows no dataset.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .table import check_columns


@dataclass(frozen=True)
class HubTable:
    """CSV files of one dataset.

    Attributes:
        repo_id: `owner/name`.
        files: Pattern of their paths in the repository.
        columns: Columns that they need to have.
        gated: Whether the hub asks to accept terms first.
    """

    repo_id: str
    files: str
    columns: tuple[str, ...]
    gated: bool = False

    def cached(self) -> Path | None:
        """Find the folder with the files in the local cache; None where they are not there. Asks nobody."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            folder = snapshot_download(
                self.repo_id, repo_type="dataset", allow_patterns=self.files, local_files_only=True
            )
        except LocalEntryNotFoundError:
            return None
        return Path(folder) if any(Path(folder).glob(self.files)) else None

    def download(self) -> Iterator[Mapping[str, str]]:
        """Yield the rows; the hub's library keeps the files in its cache.

        Raises:
            ValueError: The table lacks a column.
            Exception: Whatever the library raises, most often because there is no network or no access.
        """
        from datasets import load_dataset

        files = {"train": self.files}
        table = load_dataset(self.repo_id, data_files=files, split="train", keep_default_na=False)
        check_columns(self.repo_id, table.column_names, self.columns)
        for row in table:
            yield {column: "" if cell is None else str(cell) for column, cell in row.items()}
