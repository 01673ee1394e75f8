"""Devices and dtypes: names that are checked before anything is loaded. The devices here are played."""

from pathlib import Path

import pytest
import torch

from modplural.programs.engines.backbone import load_backbone
from modplural.programs.engines.devices import check_names, fast_dtype, find_device, find_dtype, same_device
from modplural.programs.engines.local import LocalEngine


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """What torch would say of a machine with two CUDA devices, of which only the first is fast in bfloat16."""
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("cuda"))
    monkeypatch.setattr(torch.accelerator, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5) if device.index == 1 else (8, 0))


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def test_devices_and_dtypes_are_checked_by_name() -> None:
    check_names(None, None)
    check_names("cuda:1", "float16")
    with pytest.raises(ValueError, match=r"dtype 'int8', only in bfloat16, float16, float32"):
        check_names(None, "int8")
    with pytest.raises(ValueError, match=r"'gpu' names no device; name one as 'cpu'"):
        check_names("gpu", None)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("name", "device", "dtype"),
    [
        (None, "cuda", torch.bfloat16),
        ("cuda", "cuda", torch.bfloat16),
        ("cuda:0", "cuda:0", torch.bfloat16),
        ("cuda:1", "cuda:1", torch.float16),
    ],
)
def test_a_device_is_taken_as_it_is_named(name: str | None, device: str, dtype: torch.dtype) -> None:
    found = find_device(name)
    assert found == torch.device(device)
    assert (fast_dtype(found), find_dtype("float32", found)) == (dtype, torch.float32)


@pytest.mark.usefixtures("two_gpus")
def test_devices_are_the_same_however_they_are_named() -> None:
    assert [same_device(name) for name in (None, "cuda", "cuda:0", "cuda:1", "cpu")] == [
        "cuda:0",
        "cuda:0",
        "cuda:0",
        "cuda:1",
        "cpu:0",
    ]


@pytest.mark.usefixtures("two_gpus")
def test_engines_on_two_devices_share_nothing(tiny_model: Path) -> None:
    engines = [LocalEngine(f"local/{tiny_model}", device=device) for device in ("cuda:0", "cuda:1", "cuda", None)]
    leases = [id(engine._lease) for engine in engines]
    assert leases[0] == leases[2] == leases[3] != leases[1]


@pytest.mark.usefixtures("two_gpus")
def test_the_weights_go_to_the_device_that_is_named(tiny_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[object] = []
    monkeypatch.setattr(torch.nn.Module, "to", lambda self, device: asked.append(device) or self)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("modplural.programs.engines.backbone.Backbone", lambda model, tokenizer: model)
        model = load_backbone(tiny_model, "cuda:1")
    assert asked == [torch.device("cuda:1")]
    assert model.dtype == torch.float16  # type: ignore[attr-defined]


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("name", ["cuda:2", "mps", "meta"])
def test_a_device_that_is_not_here_names_those_that_are(name: str, tiny_model: Path) -> None:
    with pytest.raises(
        ValueError, match=rf"there is no device '{name}' here: torch \S+ finds cpu, cuda, cuda:0, cuda:1"
    ):
        LocalEngine(f"local/{tiny_model}", device=name)


@pytest.mark.usefixtures("no_gpu")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cuda", "there is no device 'cuda' here: .* finds cpu; name one of these, or leave it out"),
        ("cuda:1", "there is no device 'cuda:1' here"),
        ("gpu", "'gpu' names no device; name one as 'cpu', 'cuda' or 'cuda:1'. This machine has cpu"),
        ("", "'' names no device"),
        ("cuda:x", "'cuda:x' names no device"),
    ],
)
def test_what_is_no_device_is_told_before_anything_is_loaded(name: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=said):
        find_device(name)
    with pytest.raises(ValueError, match=said):
        load_backbone(tmp_path / "nothing", name)
    with pytest.raises(ValueError, match=said):
        LocalEngine("local/nothing", device=name)
