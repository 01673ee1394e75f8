"""Weights on the Hugging Face hub: the local cache first, so that what was used once works offline.

A cached snapshot is used as it is, also when the hub has a newer one: a model does not change between two runs unless
somebody asks for it (`hf download owner/name`).
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from httpx import HTTPError
from huggingface_hub import HfApi, hf_hub_download, snapshot_download
from huggingface_hub.errors import GatedRepoError, LocalEntryNotFoundError, RepositoryNotFoundError
from huggingface_hub.hf_api import ModelInfo

from .weights import Layout, WeightsError, check_folder, check_names

_PATIENCE = 10.0
"""Seconds after which a hub that does not answer counts as out of reach; its client would wait for ever."""


class HubSnapshot(NamedTuple):
    """One commit of a hub repository: its hash, and what gives the local folder, downloading what is not there yet."""

    commit: str
    path: Callable[[], Path]


def is_hub_id(text: str) -> bool:
    """Whether the text has the form of a hub id, `owner/name`."""
    return re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", text) is not None


def meant_as_path(text: str) -> bool:
    """Whether the text is a path, there or not: one of another form than a hub id, or one that begins in a folder here.

    A name without a slash is none.
    """
    return "/" in text and (not is_hub_id(text) or Path(text).parent.is_dir())


def find_snapshot(repo_id: str, layout: Layout) -> HubSnapshot:
    """Find the commit to use, without downloading any weights: the cached one, else the hub's newest.

    Raises:
        WeightsError: It is not cached and the hub cannot be asked, or the repository does not hold what is wanted.
    """
    cached = cached_snapshot(repo_id, layout)
    if cached is not None:
        return HubSnapshot(cached.name, lambda: cached)
    info = _ask_hub(repo_id, layout)
    check_names(repo_id, [file.rfilename for file in info.siblings or ()], layout)
    commit = str(info.sha)
    return HubSnapshot(commit, lambda: _download(repo_id, layout, commit))


def cached_snapshot(repo_id: str, layout: Layout) -> Path | None:
    """The snapshot in the local cache if all of it is there; tools may have left a part of one."""
    try:
        folder = Path(snapshot_download(repo_id, allow_patterns=list(layout.patterns), local_files_only=True))
        check_folder(folder, layout)
    except (LocalEntryNotFoundError, WeightsError):
        return None
    return folder


def fetch_config(repo_id: str, layout: Layout) -> Path:
    """Fetch the configuration alone: the cached one, else the hub's newest.

    Raises:
        WeightsError: The hub cannot be asked, or has no such repository or file.
    """
    with _explained(repo_id, layout):
        return Path(hf_hub_download(repo_id, layout.config, etag_timeout=_PATIENCE))


def _ask_hub(repo_id: str, layout: Layout) -> ModelInfo:
    with _explained(repo_id, layout):
        return HfApi().model_info(repo_id, timeout=_PATIENCE)


@contextmanager
def _explained(repo_id: str, layout: Layout) -> Iterator[None]:
    """Say what to do where the hub has nothing for us."""
    try:
        yield
    except GatedRepoError as error:
        raise WeightsError(
            f"{repo_id!r} is gated: accept its terms at https://huggingface.co/{repo_id}, then run `hf auth login`"
        ) from error
    except RepositoryNotFoundError as error:
        raise WeightsError(
            f"no {layout.kind} {repo_id!r}: no such folder is here, and on the hub it is missing or private;"
            " check the spelling, or run `hf auth login`"
        ) from error
    except (OSError, HTTPError) as error:
        raise WeightsError(
            f"no {layout.kind} {repo_id!r}: no such folder is here, the local hub cache does not have it whole, and the"
            f" hub cannot be asked ({type(error).__name__}); check the spelling, run `hf download {repo_id}` once with"
            " a network and HF_HUB_OFFLINE unset, or give a folder"
        ) from error


def _download(repo_id: str, layout: Layout, commit: str) -> Path:
    try:
        # By branch, not by commit: only then does the cache remember it as what to use offline.
        folder = Path(snapshot_download(repo_id, allow_patterns=list(layout.patterns)))
    except (OSError, HTTPError) as error:
        raise WeightsError(
            f"cannot download {repo_id!r} from the hub: {error}; what has arrived is kept, so try again when"
            " the network and the disk allow it"
        ) from error
    if folder.name != commit:
        raise WeightsError(f"{repo_id!r} has changed on the hub since it was looked up; name it again in a new LM")
    return folder
