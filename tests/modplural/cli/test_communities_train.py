"""`modplural communities train`: an adapter from a corpus on a tiny model, its pool entry, mistakes, and stops."""

import io
import json
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from safetensors.torch import load_file
from typer.testing import Result

from modplural import load_pool
from modplural.cli.community_training import TrainingBar
from modplural.cli.session import Terminal
from modplural.optimizers.tracking import experiment_id, tracking_client
from modplural.optimizers.training.train import EXPERIMENT
from modplural.optimizers.training.watcher import TrainingProgress

Run = Callable[..., Result]
SETTINGS = ("--epochs", "3", "--patience", "3", "--learning-rate", "0.01", "--rank", "2", "--batch-size", "4")
DEVICE = ("--device", "cpu")

ENDED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
from modplural.cli import main
from modplural.cli.community_training import TrainingBar

step, number = int(sys.argv.pop(1)), int(sys.argv.pop(1))
show = TrainingBar.show

def end(bar, progress):
    show(bar, progress)
    if progress.step == step:
        os.kill(os.getpid(), number)

TrainingBar.show = end
main()
"""
"""A `modplural` in its own process that gets a signal, its second argument, after a step, its first one."""


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, empty_store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path / 'mlflow.db'}")


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    file = tmp_path / "fair.jsonl"
    lines = [json.dumps({"query": f"right {n}?", "message": f"what is fair {n}"}) for n in range(20)]
    file.write_text("\n".join(lines))
    return file


def arguments(model: Path, corpus: object, *more: object) -> tuple[str, ...]:
    command = ("communities", "train", "fair", "--corpus", corpus, "--base", f"local/{model}", *SETTINGS, *DEVICE)
    return tuple(str(part) for part in (*command, *more))


def runs() -> list[Any]:
    client = tracking_client()
    return list(client.search_runs([experiment_id(client, EXPERIMENT)]))


def in_process_of_its_own(step: int, number: int, command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", ENDED, str(step), str(number), *command], capture_output=True, text=True, timeout=120
    )


@pytest.mark.filterwarnings("ignore")
def test_a_trained_community_is_added_to_a_pool_at_once(
    run: Run, tiny_model: Path, corpus: Path, pool_file: Path
) -> None:
    result = run(*arguments(tiny_model, corpus, "--pool", pool_file, "--description", "Those who are fair."))
    assert (result.exit_code, result.stderr) == (0, "")
    said = dict([*line.strip().split(maxsplit=1), ""][:2] for line in result.stdout.splitlines() if line.strip())
    assert (said["comments"], said["epochs"], said["folder"]) == ("18", "3", "adapters/fair")
    before, after = (float(part) for part in said["perplexity"].partition(",")[0].split(" -> "))
    assert after < before
    assert "sqlite:///" in result.stdout
    assert said["Next:"] == f"modplural ask 'May I?' --mode overton --pool {pool_file}"
    community = load_pool(pool_file).communities[-1]
    assert community.model == f"local/{tiny_model}"  # the pool's own LM is another one
    assert Path(str(community.adapter)).samefile("adapters/fair")
    assert "adapter: ./adapters/fair, " in pool_file.read_text()


@pytest.mark.filterwarnings("ignore")
def test_the_next_command_works(run: Run, tiny_model: Path, corpus: Path, tmp_path: Path) -> None:
    train = arguments(tiny_model, corpus, "--output", "fair folder", "--epochs", "1")
    said = run(*train).stdout
    assert "--adapter './fair folder'" in said  # a bare name could be that of an adapter that comes along
    copying, adding = next_commands(said)
    assert copying == ["communities", "copy", "default", "my-pool.yaml"]
    assert run(*copying).exit_code == 0
    added = run(*adding)
    assert added.exit_code == 0, added.stderr
    community = load_pool("my-pool.yaml").communities[-1]
    assert Path(str(community.adapter)).samefile(tmp_path / "fair folder")
    assert community.model == f"local/{tiny_model}"  # the pool's own LM is another one
    again = run(*train, "--overwrite")
    assert next_commands(again.stdout) == [["ask", "May I?", "--mode", "overton", "--pool", "my-pool.yaml"]]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shared", ["local/smollm2-135m-instruct", "local/{tiny_model}", "openai/small"])
def test_the_next_command_fits_the_pool_that_is_there(
    shared: str, run: Run, tiny_model: Path, corpus: Path, pool_file: Path
) -> None:
    Path("my-pool.yaml").write_text(pool_file.read_text().replace("openai/small", shared.format(tiny_model=tiny_model)))
    (adding,) = next_commands(run(*arguments(tiny_model, corpus, "--epochs", "1")).stdout)
    added = run(*adding)
    assert added.exit_code == 0, added.stderr
    pool = load_pool("my-pool.yaml")
    assert pool.community_lm(pool.communities[-1]).model == f"local/{tiny_model}"
    assert ("--model" in adding) == (shared != "local/{tiny_model}")


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("content", ["no pool", None])
def test_the_next_command_leaves_a_pool_that_takes_no_more(
    content: str | None, run: Run, tiny_model: Path, corpus: Path, pool_file: Path
) -> None:
    Path("my-pool.yaml").write_text(content or pool_file.read_text().replace("name: care", "name: fair"))
    copying, adding = next_commands(run(*arguments(tiny_model, corpus, "--epochs", "1")).stdout)
    assert copying == ["communities", "copy", "default", "my-pool-2.yaml"]
    assert run(*copying).exit_code == run(*adding).exit_code == 0


def next_commands(said: str) -> list[list[str]]:
    _, _, commands = said.partition("Next: ")
    return [shlex.split(command)[1:] for command in commands.split(" && ")]


@pytest.mark.filterwarnings("ignore")
def test_a_relative_base_is_found_from_the_folder_of_the_pool(
    run: Run, tiny_model: Path, corpus: Path, pool_file: Path, tmp_path: Path
) -> None:
    Path("base").symlink_to(tiny_model)
    pools = tmp_path / "pools"
    pools.mkdir()
    pool = pool_file.rename(pools / "pool.yaml")
    joined = run(*arguments(Path("base"), corpus, "--pool", pool, "--description", "Those who are fair."))
    assert joined.exit_code == 0, joined.stderr
    named = Path(str(load_pool(pool).communities[-1].model).removeprefix("local/"))
    assert named.is_absolute()
    assert named.samefile(tiny_model)


@pytest.mark.filterwarnings("ignore")
def test_a_killed_training_ends_with_the_same_weights(run: Run, tiny_model: Path, corpus: Path, tmp_path: Path) -> None:
    parted = arguments(tiny_model, corpus, "--output", "parted")
    killed = in_process_of_its_own(7, signal.SIGKILL, parted)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (work,) = tmp_path.glob(".parted.training-*")
    assert [path.name for path in (work / "checkpoints").iterdir()] == ["checkpoint-5"]
    assert not (tmp_path / "parted").exists()
    assert [one.info.status for one in runs()] == ["RUNNING"]
    assert run(*parted).exit_code == 0
    assert not work.exists()
    (gone_on,) = runs()
    assert gone_on.info.status == "FINISHED"
    assert {"loss", "perplexity", "epochs_done"} <= gone_on.data.metrics.keys()
    assert run(*arguments(tiny_model, corpus, "--output", "whole")).exit_code == 0
    one, other = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("whole", "parted"))
    assert one.keys() == other.keys()
    assert all(one[key].equal(other[key]) for key in one)


def test_ctrl_c_ends_a_training_at_once_and_says_how_to_go_on(tiny_model: Path, corpus: Path, tmp_path: Path) -> None:
    ended = in_process_of_its_own(7, signal.SIGINT, arguments(tiny_model, corpus))
    assert ended.returncode == 130
    assert ended.stderr == "Interrupted. The same command goes on after the last finished epoch.\n"
    assert list((tmp_path / "adapters").glob(".fair.training-*/checkpoints/checkpoint-5"))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--learning-rate", "0"), "--learning-rate: Input should be greater than 0 (got 0.0)"),
        (("--pool", "pool.yaml"), "give --pool and --description together"),
        (("--pool", "default", "--description", "D"), "`modplural communities copy default my-pool.yaml`"),
        (("--base", "local/none"), "no model 'none'"),
        (("--corpus", "none.jsonl"), "none.jsonl: no such file"),
        (
            ("--targets", "q_proj,query_key_value"),
            "--targets: the base has no linear layer 'query_key_value' to adapt; it has q_proj, k_proj, v_proj, ",
        ),
        (("--targets", " ,"), "--targets: Tuple should have at least 1 item"),
        (("--output", "."), "is not empty and holds no adapter"),
        (
            ("--device", "foo"),
            "--device: 'foo' names no device; name one as 'cpu', 'cuda' or 'cuda:1'. This machine has",
        ),
        (("--device", "cuda:99"), "--device: there is no device 'cuda:99' here: torch"),
    ],
)
def test_what_cannot_be_trained_is_wrong_usage(
    more: tuple[str, ...], said: str, run: Run, tiny_model: Path, corpus: Path
) -> None:
    result = run(*arguments(tiny_model, corpus, *more))
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert not Path("adapters").exists()
    assert tracking_client().get_experiment_by_name(EXPERIMENT) is None


@pytest.mark.filterwarnings("ignore")
def test_a_base_that_cannot_be_used_leaves_nothing_behind(
    run: Run, tiny_model: Path, corpus: Path, tmp_path: Path
) -> None:
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    config = json.loads((base / "config.json").read_text())
    config["rope_parameters"] |= {"rope_type": "dynamic", "factor": 2.0}
    (base / "config.json").write_text(json.dumps(config))
    before = set(tmp_path.iterdir())
    result = run(*arguments(base, corpus))
    assert result.exit_code == 2, result.stderr
    assert "does not run models whose rope type is 'dynamic'" in result.stderr
    assert set(tmp_path.iterdir()) == before


def test_bad_lines_of_a_corpus_are_named(run: Run, tiny_model: Path, corpus: Path) -> None:
    lines = corpus.read_text().splitlines()
    corpus.write_text("\n".join([*lines[:2], "{", '{"query": "a"}', "[" * 100_000, *lines[2:]]))
    result = run(*arguments(tiny_model, corpus))
    assert result.exit_code == 2
    assert f"{corpus}:3: no JSON" in result.stderr
    assert f"{corpus}:4: message: Field required" in result.stderr
    assert f"{corpus}:5: nested too deeply" in result.stderr


@pytest.mark.filterwarnings("ignore")
def test_a_comment_that_the_base_cannot_read_is_wrong_usage(run: Run, tiny_model: Path, corpus: Path) -> None:
    corpus.write_text(corpus.read_text() + "\n" + json.dumps({"query": "long?", "message": "fair " * 500}))
    result = run(*arguments(tiny_model, corpus))
    assert result.exit_code == 2
    assert f"{corpus}: the comment on 'long?' has" in result.stderr


def test_a_name_that_no_pool_takes_is_not_trained(run: Run, corpus: Path, pool_file: Path) -> None:
    assert run("communities", "train", "Fair People", "--corpus", corpus).exit_code == 2
    taken = run("communities", "train", "care", "--corpus", corpus, "--pool", pool_file, "--description", "D")
    assert taken.exit_code == 2
    assert "has a community 'care' already" in taken.stderr


@pytest.mark.filterwarnings("ignore")
def test_the_layers_that_were_named_are_adapted(run: Run, tiny_model: Path, corpus: Path) -> None:
    assert run(*arguments(tiny_model, corpus, "--targets", "k_proj, gate_proj", "--epochs", "1")).exit_code == 0
    assert "| targets | k_proj, gate_proj |" in Path("adapters", "fair", "README.md").read_text()
    adapted = {name.split(".")[-3] for name in load_file(Path("adapters", "fair", "adapter_model.safetensors"))}
    assert adapted == {"k_proj", "gate_proj"}


@pytest.mark.filterwarnings("ignore")
def test_a_card_has_the_licence_that_was_given(run: Run, tiny_model: Path, corpus: Path) -> None:
    assert run(*arguments(tiny_model, corpus, "--license", "cc-by-4.0", "--epochs", "1")).exit_code == 0
    assert "\nlicense: cc-by-4.0\n" in Path("adapters", "fair", "README.md").read_text()


def test_an_adapter_is_kept_unless_it_may_be_overwritten(
    run: Run, tiny_model: Path, tiny_adapters: dict[str, Path], corpus: Path
) -> None:
    result = run(*arguments(tiny_model, corpus, "--output", tiny_adapters["care"]))
    assert result.exit_code == 2
    assert "holds an adapter, which would be lost" in result.stderr
    assert "--overwrite" in result.stderr


def test_progress_is_shown_in_a_terminal() -> None:
    terminal, shown = Terminal(), io.StringIO()
    terminal.notes = Console(file=shown, force_terminal=True, width=100)
    with TrainingBar(terminal) as bar:
        assert "loading the base" in shown.getvalue()
        for step in range(4, 8):
            bar.show(TrainingProgress(step, 9, (30.0, 12.345)))
    assert "7/9" in shown.getvalue()
    assert "steps/s" in shown.getvalue()
    assert "perplexity 12.35" in shown.getvalue() or "perplexity 12.34" in shown.getvalue()
