"""`modplural communities add`, `remove` and `copy`."""

from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import Result

from modplural import load_pool

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


def test_an_adapter_is_named_relative_to_the_pool_file(
    run: Run, tmp_path: Path, tiny_adapters: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elders").symlink_to(tiny_adapters["care"])
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert run("communities", "copy", "default", "../mine.yaml").exit_code == 0
    assert add(run, "../mine.yaml", "--adapter", "../elders").exit_code == 0
    assert "adapter: ./elders\n" in (tmp_path / "mine.yaml").read_text()
    assert load_pool("../mine.yaml").communities[-1].adapter == str(tiny_adapters["care"])


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
