"""`modplural communities add`, `remove` and `copy`."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modplural import load_pool
from modplural.data.shipped import shipped_adapters
from modplural.pool_editing import copy_preset

Run = Callable[..., Result]


def add(run: Run, pool: object, *more: object) -> Result:
    return run("communities", "add", "elders", "--pool", pool, "--description", "Over seventy.", *more)


def test_a_community_is_added_asked_and_removed(run: Run, pool_file: Path) -> None:
    before = pool_file.read_bytes()
    added = add(run, pool_file, "--persona", "You speak for elders.", "--weight", "0.5")
    assert (added.exit_code, added.stderr) == (0, "")
    assert added.stdout == f"{pool_file} has 3 communities now: care, fairness, elders\n"
    assert load_pool(pool_file).communities[2].weight == 0.5
    assert "elders" in run("ask", "Why?", "--mode", "overton", "--pool", pool_file).stdout
    assert run("communities", "remove", "elders", "--pool", pool_file).exit_code == 0
    assert pool_file.read_bytes() == before


def test_a_served_model_is_added(run: Run, pool_file: Path) -> None:
    served = ("--model", "hosted_vllm/elders", "--api-base", "http://127.0.0.1:1/v1", "--api-key-env", "MY_KEY")
    assert add(run, pool_file, *served).exit_code == 0
    lm = load_pool(pool_file).communities[2]
    assert (lm.model, lm.api_base, lm.api_key_env) == ("hosted_vllm/elders", "http://127.0.0.1:1/v1", "MY_KEY")


def sharing(pool: Path, model: object) -> Path:
    """A copy of the default pool whose communities share another model."""
    copy_preset("default", pool)
    shared = "community_base: {model: local/"
    pool.write_text(pool.read_text().replace(f"{shared}smollm2-135m-instruct", f"{shared}{model}"))
    assert load_pool(pool).community_base
    return pool


def test_an_adapter_is_named_relative_to_the_pool_file(
    run: Run, tmp_path: Path, tiny_model: Path, tiny_adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elders").symlink_to(tiny_adapters["care"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    sharing(tmp_path / "mine.yaml", tiny_model)
    assert add(run, "../mine.yaml", "--adapter", "../elders").exit_code == 0
    assert "adapter: ./elders\n" in (tmp_path / "mine.yaml").read_text()
    assert load_pool("../mine.yaml").communities[-1].adapter == str(tiny_adapters["care"])


@pytest.mark.parametrize(
    ("adapter", "said"),
    [
        ("adapters/elder", "'adapters/elder' is a path, and there is no folder {here}/adapters/elder; "),
        ("adapters/elder", "{here}/adapters has care, youth. Where the hub's adapters/elder is meant, run this in"),
        ("./elders", "no folder {here}/elders; {here} has adapters"),
        ("adapters/old/elders", "no folder {here}/adapters/old/elders; nor is there {here}/adapters/old"),
        ("owner/name", "no LoRA adapter 'owner/name': no such folder is here, the local hub cache does not have it"),
    ],
)
def test_an_adapter_that_is_nowhere_is_not_added(
    adapter: str, said: str, run: Run, tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("care", "youth"):
        (tmp_path / "adapters" / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    pool = sharing(tmp_path / "mine.yaml", tiny_model)
    before = pool.read_bytes()
    result = add(run, pool, "--adapter", adapter)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said.format(here=tmp_path) in result.stderr
    assert pool.read_bytes() == before
    model = add(run, pool, "--model", "local/adapters/elder", "--persona", "You speak for elders.")
    assert (model.exit_code, "--model: 'adapters/elder' is a path" in model.stderr) == (2, True)


def test_an_adapter_of_another_base_is_not_added(
    run: Run, tmp_path: Path, tiny_model: Path, tiny_adapters: dict[str, Path]
) -> None:
    pool = sharing(tmp_path / "mine.yaml", tiny_model)
    before = pool.read_bytes()
    shipped = add(run, pool, "--adapter", "care")
    assert shipped.exit_code == 2
    assert (
        "--adapter: 'care' was trained on HuggingFaceTB/SmolLM2-135M-Instruct, and the communities of this pool share"
        f" local/{tiny_model}, which its matrices do not fit; give --model local/smollm2-135m-instruct too\n"
    ) in shipped.stderr
    forced = add(run, pool, "--adapter", "care", "--model", f"local/{tiny_model}")
    assert forced.exit_code == 2
    assert f"its matrices do not fit local/{tiny_model}; give --model local/smollm2-135m-instruct" in forced.stderr
    assert pool.read_bytes() == before

    assert add(run, pool, "--adapter", "care", "--model", "local/smollm2-135m-instruct").exit_code == 0
    assert load_pool(pool).communities[-1].adapter == "care"


def configured(folder: Path, adapter: Path, **settings: object) -> Path:
    """A copy of an adapter with other settings."""
    config = json.loads((Path(shutil.copytree(adapter, folder)) / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps({**config, **settings}))
    return folder


def naming(folder: Path, adapter: Path, base: str) -> Path:
    """A copy of an adapter that names another base."""
    return configured(folder, adapter, base_model_name_or_path=base)


@pytest.mark.parametrize("own", [False, True])
def test_an_adapter_that_the_engine_does_not_run_is_not_added(
    own: bool, run: Run, tmp_path: Path, tiny_model: Path, tiny_adapters: dict[str, Path]
) -> None:
    pool = sharing(tmp_path / "mine.yaml", tiny_model)
    before = pool.read_bytes()
    dora = configured(tmp_path / "dora", tiny_adapters["care"], use_dora=True)
    refused = add(run, pool, "--adapter", dora, *(("--model", f"local/{tiny_model}") if own else ()))
    assert (refused.exit_code, pool.read_bytes()) == (2, before)
    assert f"adapter {dora} sets use_dora=True, which cannot share a batch with other adapters" in refused.stderr


@pytest.mark.parametrize("base", ["/other/project/tiny", "outputs/merged", "unsloth/tiny-bnb-4bit"])
def test_an_adapter_that_does_not_fit_is_not_added_whatever_it_names(
    base: str, run: Run, tmp_path: Path, tiny_model: Path
) -> None:
    pool = sharing(tmp_path / "mine.yaml", tiny_model)
    before = pool.read_bytes()
    refused = add(run, pool, "--adapter", naming(tmp_path / "foreign", shipped_adapters()["care"], base))
    assert (refused.exit_code, pool.read_bytes()) == (2, before)
    assert f"was trained on {base}, and the communities of this pool share local/{tiny_model}, " in refused.stderr
    assert "which its matrices do not fit; give --model local/<its base> too" in refused.stderr


def test_an_adapter_that_fits_is_added_and_another_name_of_its_base_told(
    run: Run, tmp_path: Path, tiny_model: Path, tiny_adapters: dict[str, Path]
) -> None:
    pool = sharing(tmp_path / "mine.yaml", tiny_model)
    before = pool.read_bytes()
    copy = naming(tmp_path / "merged", tiny_adapters["care"], "outputs/merged")
    merged = add(run, pool, "--adapter", copy)
    undo = f"modplural communities remove elders --pool {pool}"
    assert (merged.exit_code, merged.stderr) == (
        0,
        f"'{copy}' was trained on outputs/merged, and the communities of this pool share local/{tiny_model}."
        f" If these are different models, it would say little of use; to undo: {undo}\n",
    )
    assert load_pool(pool).communities[-1].model is None
    assert run(*undo.split()[1:]).exit_code == 0
    assert pool.read_bytes() == before
    copy = naming(tmp_path / "quantized", tiny_adapters["care"], "unsloth/tiny-bnb-4bit")
    quantized = add(run, pool, "--adapter", copy)
    assert (quantized.exit_code, quantized.stderr) == (0, "")


def test_an_adapter_joins_its_base_by_any_name(
    run: Run, tmp_path: Path, tiny_model: Path, tiny_adapters: dict[str, Path]
) -> None:
    renamed = tmp_path / "renamed"
    renamed.symlink_to(tiny_model)
    for base in (tiny_model, renamed, "./renamed"):
        pool = sharing(tmp_path / "mine.yaml", base)
        added = add(run, pool, "--adapter", tiny_adapters["care"])
        assert (added.exit_code, added.stderr) == (0, "")
        pool.unlink()
    pool = sharing(tmp_path / "mine.yaml", "smollm2-135m-instruct")
    assert add(run, pool, "--adapter", "care").exit_code == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ((), "nothing makes the LM speak for 'elders'; give persona, examples, adapter or model"),
        (("--adapter", "none"), "no LoRA adapter 'none': give"),
        (("--adapter", "."), "is not a LoRA adapter: it has no adapter_config.json"),
        (("--adapter", "owner/name"), "takes no adapter; serve the adapter there"),
        (("--model", "elders"), "--model: 'elders' names no provider"),
        (("--model", "openai/x", "--api-key-env", "sk-1"), "--api-key-env: must be the name of the environment"),
        (("--persona", "You.", "--weight", "0"), "--weight: "),
    ],
)
def test_what_makes_no_community_is_wrong_usage(
    options: tuple[str, ...], said: str, run: Run, pool_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = pool_file.read_bytes()
    result = add(run, pool_file, *options)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "sk-1" not in result.stderr
    assert pool_file.read_bytes() == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("remove", "care", "--pool", "default"), "`modplural communities copy default my-pool.yaml`"),
        (("remove", "cares", "--pool", "pool.yaml"), "no community 'cares'; it has care, fairness"),
        (("remove", "fairness", "care", "--pool", "pool.yaml"), "left without a community"),
        (("copy", "default", "pool.yaml"), "is there already"),
        (("copy", "nothing", "new.yaml"), "no preset 'nothing'"),
        (("copy", "default", "no/folder.yaml"), "No such file or directory"),
    ],
)
@pytest.mark.usefixtures("pool_file")
def test_what_cannot_be_edited_is_wrong_usage(
    command: tuple[str, ...], said: str, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = run("communities", *command)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
