"""Every example that readers are told to copy is run, in an empty folder, on the embedded LM."""

import json
import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
FEW_TOKENS = 12
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def loaded(smollm2: str) -> Iterator[Any]:
    """The embedded LM, held so that the examples share its weights; it is brief here, as its speed is not tested."""
    from modplural import local_lm
    from modplural.programs import building, lms, saving

    build = lms.build_lm

    def brief(config: Any) -> Any:
        return build(config.model_copy(update={"max_tokens": FEW_TOKENS}))

    with pytest.MonkeyPatch.context() as patch:
        for module in (building, lms, saving):
            patch.setattr(module, "build_lm", brief)
        yield local_lm(smollm2)


@pytest.mark.parametrize("code", blocks("python"))
def test_python_examples_run(code: str, loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"__name__": "readme"})


def test_mode_examples_are_short() -> None:
    assert all(len(code.strip().splitlines()) <= 15 for code in blocks("python"))


def test_three_modes_in_under_twelve_lines(loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = (ROOT / "examples" / "three_modes.py").read_text(encoding="utf-8")
    assert len(code.splitlines()) < 12
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "three_modes.py", "exec"), {"__name__": "example"})


def commands() -> list[str]:
    return [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]


@pytest.mark.parametrize("command", commands())
def test_commands_succeed(command: str, loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from modplural.cli.app import app

    monkeypatch.chdir(tmp_path)
    program, *arguments = shlex.split(command)
    assert program == "modplural"
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip()


def test_shell_commands_are_targets_or_ours(loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The `make` lines name real targets, and the run works on a file of that name."""
    from typer.testing import CliRunner

    from modplural.cli.app import app
    from modplural.data import encode_rows, sample

    monkeypatch.chdir(tmp_path)
    lines = [line.partition("#")[0].strip() for block in blocks("sh") for line in block.splitlines()]
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert [line.split()[1] in targets for line in lines if line.startswith("make ")] == [True, True]
    (run,) = [shlex.split(line) for line in lines if line.startswith("modplural ")]
    Path(run[2]).write_bytes(encode_rows(json.loads(sample("distributional-moralchoice").read_bytes())[:4]))
    result = CliRunner().invoke(app, run[1:])
    assert result.exit_code == 0, result.output
    assert Path("answers.json").is_file()


def test_the_target_for_served_pools_serves_where_the_preset_asks() -> None:
    """Its commands are run on a server in `tests/servers`, as the target takes minutes and gigabytes."""
    from modplural import load_pool

    section = README.split("\n## Served pools\n")[1].split("\n## ")[0]
    (target,) = re.findall(r"^(make \w+)", section, re.MULTILINE)
    plain = {name: value for name, value in os.environ.items() if name not in ("PORT", "MAKEFLAGS", "MAKEOVERRIDES")}
    dry = [*shlex.split(target), "--dry-run"]
    printed = subprocess.run(dry, cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    (port,) = re.findall(r"examples/serve_vllm\.py --port (\d+)$", printed.stdout, re.MULTILINE)
    pool = load_pool("vllm")
    assert {lm.api_base for lm in (pool.base, *pool.communities)} == {f"http://127.0.0.1:{port}/v1"}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_community_is_trained_added_asked_and_removed(
    loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from typer.testing import CliRunner

    from modplural.cli.app import app

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")
    (corpus,), (script,) = blocks("jsonl"), blocks("bash")
    more = (ROOT / "data" / "communities" / "care" / "held_out.jsonl").read_text(encoding="utf-8").splitlines()[:12]
    Path("elders.jsonl").write_text(corpus + "\n".join(more), encoding="utf-8")
    for command in script.splitlines():
        program, *arguments = shlex.split(command)
        assert program == "modplural"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
        if arguments[0] == "ask":
            assert "elders" in result.stdout


@pytest.mark.slow
def test_a_pool_that_lacks_a_community_is_patched(loaded: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from typer.testing import CliRunner

    from modplural.cli.app import app

    monkeypatch.chdir(tmp_path)
    (script,) = [block for block in blocks("shell") if "communities copy" in block]
    for command in script.splitlines():
        program, *arguments = shlex.split(command)
        assert program == "modplural"
        result = CliRunner().invoke(app, [*arguments, "--limit", "2"] if "effect" in arguments else arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
    assert "value coverage" in result.stdout and "sanctity" in result.stdout


@pytest.mark.filterwarnings("ignore")
def test_a_version_is_registered_promoted_and_asked(loaded: Any, store: Path) -> None:
    from typer.testing import CliRunner

    from modplural import Overton, open_pool
    from modplural.cli.app import app

    base, pool = open_pool("default")
    Overton(base, pool).save("my-overton")
    (script,) = [block for block in blocks("shell") if block.startswith("modplural versions")]
    for command in script.splitlines():
        program, *arguments = shlex.split(command)
        assert program == "modplural"
        result = CliRunner().invoke(app, arguments)
        assert result.exit_code == 0, f"{command}: {result.output}"
        assert result.stdout.strip()


def test_pool_example_is_a_pool(tmp_path: Path) -> None:
    from modplural import load_pool

    (text,) = blocks("yaml")
    path = tmp_path / "pool.yaml"
    path.write_text(text, encoding="utf-8")
    assert [community.name for community in load_pool(path).communities] == ["elders", "newcomers"]
    assert yaml.safe_load(text)["base"]["model"].startswith("local/")


def test_file_tree_names_every_folder() -> None:
    tree = README.split("## What is where")[1]
    folders = {"modplural", "programs", "signatures", "optimizers", "data", "benchmarks", "examples", "tests"}
    assert folders <= set(re.findall(r"^(\w+)/", tree, re.MULTILINE))
    assert all((ROOT / folder).is_dir() for folder in folders)
