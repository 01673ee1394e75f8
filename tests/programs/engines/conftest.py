"""What the tests of the in-process engine share: the tiny model as a backbone, and the engine over it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dspy
import pytest
import torch
from safetensors.torch import load_file, save_file

from modplural.programs.engines.backbone import Backbone, load_backbone
from modplural.programs.engines.local import LocalEngine, local_lm


@pytest.fixture(scope="session")
def backbone(tiny_model: Path, tiny_adapters: dict[str, Path]) -> Backbone:
    """The tiny model in float32 with its three adapters stacked under their names."""
    with torch.inference_mode():
        model = load_backbone(tiny_model, "cpu", "float32")
        for name, folder in tiny_adapters.items():
            model.load_adapter(name, folder)
    return model


@pytest.fixture
def tiny_lm(tiny_model: Path, tiny_adapters: dict[str, Path]) -> Iterator[Callable[..., dspy.LM]]:
    """Makes LMs over the tiny model in float32, by adapter name, not cached; their engine is closed at the end."""
    engines: list[LocalEngine] = []

    def make(adapter: str | None = None, **settings: Any) -> dspy.LM:
        folder = None if adapter is None else str(tiny_adapters[adapter])
        lm = local_lm(
            f"local/{tiny_model}", adapter=folder, device="cpu", dtype="float32", **{"cache": False, **settings}
        )
        engines.append(lm.engine)
        return lm

    yield make
    for engine in engines:
        engine.close()


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The number of rows of every forward pass made since the test began."""
    rows: list[int] = []
    forward = Backbone._forward

    def counted(self: Backbone, ids: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        rows.append(ids.shape[0])
        return forward(self, ids, *args, **kwargs)

    monkeypatch.setattr(Backbone, "_forward", counted)
    return rows


@pytest.fixture
def misfit(tiny_adapters: dict[str, Path], tmp_path: Path) -> Path:
    """An adapter that fits another model: its matrices are too wide by one column."""
    folder = Path(shutil.copytree(tiny_adapters["care"], tmp_path / "misfit"))
    weights = load_file(folder / "adapter_model.safetensors")
    wide = {name: torch.cat([half, half[:, :1]], dim=1) if "lora_A" in name else half for name, half in weights.items()}
    save_file({name: half.contiguous() for name, half in wide.items()}, folder / "adapter_model.safetensors")
    return folder
