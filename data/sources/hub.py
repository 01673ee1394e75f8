"""Tables of datasets on the Hugging Face hub: out of its local cache where they are, else by the `datasets` library.

What was fetched once is used as it is, also without a network. This file knows no dataset.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class HubTable:
    """CSV files of one dataset.

    Attributes:
        repo_id: `owner/name`.
        files: Their paths in the repository, or patterns of them.
        columns: Columns that they need to have.
        gated: Whether the hub asks to accept terms first.
    """

    repo_id: str
    files: tuple[str, ...]
    columns: tuple[str, ...]
    gated: bool = False

    def cached(self) -> Path | None:
        """Find the folder with the files in the local cache; None where one of them is missing. Asks nobody."""
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import LocalEntryNotFoundError

        try:
            found = snapshot_download(
                self.repo_id, repo_type="dataset", allow_patterns=list(self.files), local_files_only=True
            )
        except LocalEntryNotFoundError:
            return None
        folder = Path(found)
        return folder if all(any(folder.glob(file)) for file in self.files) else None

    def download(self) -> Iterator[Mapping[str, str]]:
        """Yield the rows; the hub's library keeps the files in its cache.

        Raises:
            Exception: Whatever the library raises, most often because there is no network or no access.
        """
        from datasets import Features, Value, load_dataset

        yield from load_dataset(
            self.repo_id,
            data_files={"train": list(self.files)},
            split="train",
            usecols=list(self.columns),
            features=Features({column: Value("string") for column in self.columns}),
            keep_default_na=False,  # or an option "None" would be a missing value
        )
