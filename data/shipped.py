"""The adapters that come along: one LoRA adapter for each community that has a corpus here.

This file knows where they are; it never reads one.
"""

from importlib import resources
from pathlib import Path


def shipped_adapters() -> dict[str, Path]:
    """Folder per name, in alphabetical order; each was trained on the embedded LM, and fits no other."""
    home = Path(str(resources.files(__package__))) / "adapters"
    return {folder.name: folder for folder in sorted(home.iterdir()) if folder.is_dir()} if home.is_dir() else {}
