"""The versions of a program in MLflow's model registry: registered, found and listed.

What a version is and scored stands in its tags, so that a list of versions opens no file. This file knows the
registry; which version is the champion is for others to say.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from ...programs.saved_lms import CustomLM
from ...programs.saving import Manifest, read_manifest
from ..mlflow_store import NoStoreError, reaching_store, reading_client, shown_store, tracking_client
from ..tracking import TrackedRun, tracked_run
from .artifact import SCORES, fetched
from .errors import VersionError
from .logged import CONTENT_TAG, content_digest, log_program, log_scores
from .prompts import register_prompts
from .scores import Scores

if TYPE_CHECKING:
    from mlflow import MlflowClient

EXPERIMENT = "modplural-versions"
"""The experiment of versions that were registered without a run of their own."""

KIND_TAG, SCORES_TAG = "modplural.program", "modplural.scores"

_NAME = re.compile(r"[A-Za-z0-9]+([_-][A-Za-z0-9]+)*")
_REFERENCE = re.compile(r"(?:models:/)?(?P<name>[^/@:]+)(?:/(?P<number>\d+)|@(?P<alias>[^/@:]+))")


@dataclass(frozen=True)
class Version:
    """A saved program in the registry.

    Attributes:
        name: What its versions are called together.
        number: Counts them from 1.
        program: One of `modplural.programs.saving.PROGRAMS`.
        aliases: Names that point to it now, such as `champion`.
        created: When it was registered.
        run_id: The run that made it.
        scores: What it scored, without rows; None where nothing is known.
    """

    name: str
    number: int
    program: str
    aliases: tuple[str, ...]
    created: datetime
    run_id: str
    scores: Scores | None

    @property
    def uri(self) -> str:
        """What `modplural.load` takes."""
        return f"models:/{self.name}/{self.number}"


def register(
    folder: str | Path, name: str, scores: Scores | None = None, *, run: TrackedRun | None = None, again: bool = True
) -> Version:
    """Register a saved program as the next version of its name.

    Its instructions also go to the prompt registry, as `<name>.<predictor>`, where they differ from what is there.

    Args:
        folder: What `program.save` wrote.
        name: Letters and digits, single hyphens or underscores between them.
        scores: What it scored on held-out records.
        run: The run that made the program, which knows the scores already; a run of its own when None.
        again: Whether the same program with the same scores becomes a further version; otherwise the one that is there
            is returned.

    Raises:
        ImportError: MLflow is not installed.
        SavedProgramError: The folder holds no saved program.
        StoreError: The store cannot be used.
        VersionError: The name cannot be used.
    """
    program = Path(folder).expanduser()
    manifest = read_manifest(program)
    check_name(name, manifest.program)
    there = None if again else _same(name, content_digest(program, scores))
    if there is not None:
        return there
    if run is not None:
        return _register(program, manifest, name, scores, run)
    with tracked_run(EXPERIMENT, name, {"program": manifest.program, "base": _model(manifest)}) as own:
        if scores is not None:
            log_scores(own, scores)
        return _register(program, manifest, name, scores, own)


def check_name(name: str, program: str) -> None:
    """Check, before anything is spent, that versions of a program can have a name.

    Args:
        name: The name.
        program: One of `modplural.programs.saving.PROGRAMS`.

    Raises:
        ImportError: MLflow is not installed.
        StoreError: The store cannot be used.
        VersionError: They cannot; the message says why.
    """
    if not _NAME.fullmatch(name):
        raise VersionError(
            f"{name!r} is no name for versions: it is part of addresses. Use letters, digits and single hyphens or"
            " underscores between them, such as 'overton'"
        )
    with reaching_store():
        kind = _kind(tracking_client(), name)
    if kind not in (None, program):
        raise VersionError(
            f"the versions of {name!r} are {kind or 'no programs of this package'} and this is {program}, so that they"
            " would not compare; choose another name"
        )


def versions(name: str | None = None) -> list[Version]:
    """The versions of a name, or of all names, the newest of each first.

    Raises:
        NoStoreError: There is no store to look for that name in.
        StoreError: The store cannot be used.
        VersionError: There is none of that name.
    """
    try:
        client = reading_client()
    except NoStoreError:
        if name is None:
            return []
        raise
    names = _names(client) if name is None else [registered(client, name).name]
    every = [one for each in names for one in client.search_model_versions(f"name='{each}'")]
    found = [_version(client, one) for one in every if KIND_TAG in one.tags]  # others can register under a name too
    return sorted(found, key=lambda version: (version.name, -version.number))


def find(reference: str) -> Version:
    """The version that `overton@champion`, `overton/3` or the same after `models:/` names.

    Raises:
        StoreError: The store cannot be used, or there is none.
        VersionError: There is none.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise VersionError(f"{reference!r} names no version; write overton/3, or overton@champion")
    client = reading_client()
    from mlflow.exceptions import MlflowException

    name, number, alias = match["name"], match["number"], match["alias"]
    try:
        if number:
            return _version(client, client.get_model_version(name, number))
        return _version(client, client.get_model_version_by_alias(name, alias))
    except MlflowException as error:
        there = ", ".join(f"{name}/{version.number}" for version in versions(name))
        raise VersionError(f"there is no {reference} in {shown_store()}; there is {there or 'none'}") from error


def registered(client: MlflowClient, name: str) -> Any:
    """What MLflow knows of a name: its aliases and tags.

    Raises:
        VersionError: No version is called that.
    """
    names = sorted(_names(client))
    if name not in names:
        raise VersionError(f"no version is called {name!r} in {shown_store()}; there is {', '.join(names) or 'none'}")
    return client.get_registered_model(name)


def scores_with_rows(version: Version) -> Scores | None:
    """What a version scored, row by row where that is kept with it."""
    with fetched(version.uri) as folder:
        file = folder / SCORES
        return Scores.model_validate_json(file.read_bytes()) if file.is_file() else version.scores


def _register(program: Path, manifest: Manifest, name: str, scores: Scores | None, run: TrackedRun) -> Version:
    client = tracking_client()
    model_id = log_program(program, run, scores)
    if _kind(client, name) is None:
        client.create_registered_model(name, tags={KIND_TAG: manifest.program})
    tags = {KIND_TAG: manifest.program, CONTENT_TAG: content_digest(program, scores)}
    if scores is not None:
        tags[SCORES_TAG] = json.dumps(scores.summary())
    made = client.create_model_version(name, f"models:/{model_id}", run.run_id, tags=tags, model_id=model_id)
    register_prompts(client, program, name, int(made.version))
    return _version(client, client.get_model_version(name, made.version))


def _same(name: str, content: str) -> Version | None:
    """The newest version of that content."""
    client = tracking_client()
    if _kind(client, name) is None:
        return None
    found = client.search_model_versions(f"name='{name}'")
    same = [one for one in found if one.tags.get(CONTENT_TAG) == content]
    return _version(client, max(same, key=lambda one: int(one.version))) if same else None


def _kind(client: MlflowClient, name: str) -> str | None:
    """Which program the versions of a name are; empty where they are none of ours, None where there are none."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.get_registered_model(name).tags.get(KIND_TAG, ""))
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _names(client: MlflowClient) -> Iterator[str]:
    """What versions are called, page by page."""
    token = None
    while True:
        page = client.search_registered_models(page_token=token)
        yield from (model.name for model in page if KIND_TAG in model.tags)
        token = page.token
        if not token:
            return


def _version(client: MlflowClient, found: Any) -> Version:
    tags: Mapping[str, str] = found.tags
    aliases = client.get_registered_model(found.name).aliases
    if KIND_TAG not in tags:
        raise VersionError(f"{found.name}/{found.version} is a model of something else, not a version of a program")
    return Version(
        name=found.name,
        number=int(found.version),
        program=tags[KIND_TAG],
        aliases=tuple(sorted(alias for alias, number in aliases.items() if str(number) == str(found.version))),
        created=datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
        run_id=found.run_id or "",
        scores=_scores(tags.get(SCORES_TAG)),
    )


def _scores(tag: str | None) -> Scores | None:
    """The scores in a tag; none where somebody has edited it into nonsense."""
    try:
        return None if tag is None else Scores.model_validate_json(tag)
    except ValidationError:
        return None


def _model(manifest: Manifest) -> str:
    return manifest.base.custom if isinstance(manifest.base, CustomLM) else manifest.base.model
