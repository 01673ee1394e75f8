"""Saved programs: a folder of JSON with what a program is and what it learned; nothing to execute, nothing to steal.

`manifest.json` says which program it is, with which communities and LMs; `state.json` is DSPy's state of its
parameters. LMs are described, never stored: keys come from the environment again. This file knows which programs
there are.
"""

import logging
import platform
from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import dspy
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from .baselines import MixtureOfExperts, Prompted, Vanilla
from .community import CommunityLM
from .config import ExampleConfig, LMConfig
from .config_fields import Problem, Slug, Text, refusal
from .distributional import Distributional
from .errors import SavedProgramError
from .lms import build_lm
from .mode import Mode
from .overton import Overton
from .pool import CommunityPool, FailurePolicy
from .program import Program
from .saved_folder import read_json, write_folder
from .saved_lms import CustomLM, describe_lm
from .steerable import Steerable

FORMAT = 1
MANIFEST = "manifest.json"
STATE = "state.json"

PROGRAMS: Mapping[str, type[Program]] = {
    "overton": Overton,
    "steerable": Steerable,
    "distributional": Distributional,
    "vanilla": Vanilla,
    "prompted": Prompted,
    "mixture_of_experts": MixtureOfExperts,
}
"""The programs that can be saved, by the name they are saved under."""

_logger = logging.getLogger(__name__)

_PACKAGES = ("modplural", "dspy", "torch", "transformers", "peft")


class _Saved(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SavedCommunity(_Saved):
    """One community of a saved pool; its persona and demos are in the state."""

    name: Slug
    description: Text
    examples: tuple[ExampleConfig, ...] = ()
    lm: LMConfig | CustomLM


class SavedFailures(_Saved):
    """A failure policy."""

    action: Literal["raise", "continue"]
    at_least: int = Field(strict=True)
    timeout: float | None = Field(default=None, strict=True)


class Manifest(_Saved):
    """What a saved program is.

    Attributes:
        format: Version of this layout.
        program: One of `PROGRAMS`.
        versions: Of Python and of the packages it was saved with, for the record.
        predictors: The fields of each predictor, as in `query, message -> sentence`.
        base: The base LLM.
        communities: The pool, in order; empty for programs without one.
        failures: The failure policy of a program with communities.
    """

    format: int
    program: str
    versions: dict[str, str]
    predictors: dict[str, str]
    base: LMConfig | CustomLM
    communities: tuple[SavedCommunity, ...] = ()
    failures: SavedFailures | None = None

    @model_validator(mode="after")
    def _policy_can_be_met(self) -> Self:
        least = self.failures.at_least if self.failures else 0
        if self.communities and least > len(self.communities):
            message = (
                f"{least} communities must have a message and there are {len(self.communities)}, so that every answer"
                " would fail; lower it, or add communities"
            )
            raise refusal("Manifest", [Problem(("failures", "at_least"), message)])
        return self


def save_program(program: Program, path: str | Path) -> None:
    """Write a program as a folder; a saved program that is there is replaced when the new one is complete.

    Raises:
        FileExistsError: There is something else at that path; it is left as it is.
        SavedProgramError: The program is none of `PROGRAMS`, holds something that is not JSON data, or could not be
            loaded again.
    """
    try:
        manifest = _manifest(program)
    except ValidationError as error:
        raise SavedProgramError(f"this {type(program).__name__} could not be loaded again: {_told(error)}") from None
    state = program.dump_state()
    _check_loads(program, manifest, state)
    files = {MANIFEST: manifest.model_dump(mode="json", exclude_none=True), STATE: state}
    write_folder(Path(path).expanduser(), files)


def load(path: str | Path, *, base: dspy.LM | None = None, lms: Mapping[str, dspy.LM] | None = None) -> Program:
    """Make a saved program again; nothing in the folder is executed, and no LM is asked.

    Args:
        path: The folder that `program.save` wrote.
        base: Stands in for the base LLM that was saved.
        lms: Stand in for the LMs of communities, by name.

    Raises:
        SavedProgramError: It is no saved program, or one that cannot be made here; the message says why.
    """
    folder = Path(path).expanduser()
    manifest = read_manifest(folder)
    try:
        program = _build(manifest, *_lms(manifest, base, lms or {}))
    except (ValueError, LookupError) as error:
        raise SavedProgramError(f"{folder}: {error}") from error
    _take_state(program, manifest, folder)
    return program


def load_into(program: Program, path: str | Path) -> None:
    """Give a program the learned state of a saved one of its kind; it keeps its own LMs, communities and policy.

    Raises:
        SavedProgramError: It is no saved program, or one of another kind or with another pool.
    """
    folder = Path(path).expanduser()
    manifest = read_manifest(folder)
    if PROGRAMS[manifest.program] is not type(program):
        raise SavedProgramError(f"{folder} was saved as {manifest.program}, which is no {type(program).__name__}")
    _take_state(program, manifest, folder)


def _manifest(program: Program) -> Manifest:
    name = next((name for name, kind in PROGRAMS.items() if kind is type(program)), None)
    if name is None:
        raise SavedProgramError(
            f"{type(program).__name__} could not be made again from a folder; programs that can are"
            f" {', '.join(PROGRAMS)}. Save the state of others with save('<name>.json')"
        )
    for place, predictor in program.named_predictors():
        if predictor.config:
            settings = ", ".join(predictor.config)
            _logger.warning("of %s these settings are not saved: %s; set them on its LM instead", place, settings)
    pool = getattr(program, "pool", ())
    return Manifest(
        format=FORMAT,
        program=name,
        versions={"python": platform.python_version(), **{package: version(package) for package in _PACKAGES}},
        predictors=_fields(program),
        base=describe_lm(program.base, "base"),
        communities=tuple(_saved_community(community) for community in pool),
        failures=SavedFailures(**asdict(program.failures)) if isinstance(program, Mode | MixtureOfExperts) else None,
    )


def _check_loads(program: Program, manifest: Manifest, state: Mapping[str, Any]) -> None:
    """Check that what is to be saved makes a program, as `load` will make it, here with the LMs of the one at hand."""
    lms = {community.name: community.lm for community in getattr(program, "pool", ())}
    try:
        again = _build(manifest, program.base, lms)
        _check_predictors(again, manifest)
        again.load_state(state)
    except ValueError as error:
        raise SavedProgramError(f"this {type(program).__name__} could not be loaded again: {error}") from error


def _saved_community(community: CommunityLM) -> SavedCommunity:
    if not community.description.strip():
        raise SavedProgramError(
            f"the description of {community.name!r} is blank, so the mixture of experts could not route to it; say in"
            " a sentence who the community is"
        )
    examples = (ExampleConfig(query=example.query, message=example.message) for example in community.examples)
    lm = describe_lm(community.lm, community.name)
    return SavedCommunity(name=community.name, description=community.description, examples=tuple(examples), lm=lm)


def _fields(program: Program) -> dict[str, str]:
    return {name: predictor.signature.signature for name, predictor in program.named_predictors()}


def _lms(manifest: Manifest, base: dspy.LM | None, lms: Mapping[str, dspy.LM]) -> tuple[dspy.LM, dict[str, dspy.LM]]:
    """The base LLM and the LM of each community: as given, or made again from what was saved."""
    names = [community.name for community in manifest.communities]
    unknown = [name for name in lms if name not in names]
    if unknown:
        raise ValueError(f"no community {', '.join(unknown)} to give an LM to; its communities are {names or 'none'}")
    places = [("base=...", manifest.base, base)]
    places += [(f"lms={{{one.name!r}: ...}}", one.lm, lms.get(one.name)) for one in manifest.communities]
    missing = [f"{place} for {lm.custom}" for place, lm, given in places if given is None and isinstance(lm, CustomLM)]
    if missing:
        raise ValueError(f"some of its LMs cannot be made from what was saved; give them to load: {'; '.join(missing)}")
    made: dict[LMConfig, dspy.LM] = {}
    found = [given or _make(place, lm, made) for place, lm, given in places]
    return found[0], dict(zip(names, found[1:], strict=True))


def _make(place: str, lm: LMConfig | CustomLM, made: dict[LMConfig, dspy.LM]) -> dspy.LM:
    """Make an LM, once for all who share it."""
    assert isinstance(lm, LMConfig)
    if lm not in made:
        try:
            made[lm] = build_lm(lm)
        except (ValueError, LookupError) as error:
            raise ValueError(f"{error}; or give another LM to load: {place}") from error
    return made[lm]


def _build(manifest: Manifest, base: dspy.LM, lms: Mapping[str, dspy.LM]) -> Program:
    kind = PROGRAMS[manifest.program]
    pool = CommunityPool(
        CommunityLM(
            community.name,
            lms[community.name],
            description=community.description,
            examples=[dspy.Example(query=example.query, message=example.message) for example in community.examples],
        )
        for community in manifest.communities
    )
    if not issubclass(kind, Mode | MixtureOfExperts):
        return kind(base)
    saved = manifest.failures
    return kind(base, pool, failures=FailurePolicy(**saved.model_dump()) if saved else None)


def _take_state(program: Program, manifest: Manifest, folder: Path) -> None:
    try:
        _check_predictors(program, manifest)
        program.load_state(read_json(folder / STATE))
    except SavedProgramError as error:
        raise SavedProgramError(f"{folder}: {error}") from error


def _check_predictors(program: Program, manifest: Manifest) -> None:
    fields = _fields(program)
    if manifest.predictors != fields:
        differing = sorted({name for name, _ in manifest.predictors.items() ^ fields.items()})
        raise SavedProgramError(
            f"it does not fit {type(program).__name__}: these predictors are others or have other fields:"
            f" {', '.join(differing)}"
        )


def read_manifest(folder: Path) -> Manifest:
    """What a saved program is, without making it.

    Raises:
        SavedProgramError: It is no saved program, or one of a newer format.
    """
    data = read_json(folder / MANIFEST)
    written = data.get("format") if isinstance(data, dict) else None
    if not isinstance(written, int) or isinstance(written, bool):
        raise SavedProgramError(f"{folder / MANIFEST} is no manifest of a saved program: it names no format")
    if written < 1:
        raise SavedProgramError(f"{folder / MANIFEST} names format {written}; formats are numbered from 1")
    if written > FORMAT:
        raise SavedProgramError(
            f"{folder} was saved by a newer modplural, in format {written}, this one reads up to {FORMAT}; update it"
        )
    try:
        manifest = Manifest.model_validate(data)
    except ValidationError as error:
        raise SavedProgramError(f"{folder / MANIFEST} is damaged: {_told(error)}") from error
    if manifest.program not in PROGRAMS:
        raise SavedProgramError(f"{folder} was saved as {manifest.program!r}; programs are {', '.join(PROGRAMS)}")
    return manifest


def _told(error: ValidationError) -> str:
    """What is wrong, each problem after the path of its field."""
    return "; ".join(f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}" for problem in error.errors())
