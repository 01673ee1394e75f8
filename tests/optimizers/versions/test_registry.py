"""Versions: registered without a pickle, found by every address, loaded as they were saved, and running nothing."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from modplural import load
from modplural.optimizers import mlflow_store
from modplural.optimizers.tracking import StoreError, opened_run, tracked_run, tracking_client
from modplural.optimizers.versions import Scores, VersionError, fetched, find, register, versions
from modplural.optimizers.versions.registry import SCORES_TAG
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import SavedProgramError

Save = Callable[..., Path]
MakeScores = Callable[..., Scores]


def test_every_address_gives_what_was_saved(store: Path, save: Save) -> None:
    first = register(save("one", "First."), "overton")
    second = register(save("two", "Second."), "overton")
    tracking_client().set_registered_model_alias("overton", "champion", "2")
    assert [(version.name, version.number) for version in (first, second)] == [("overton", 1), ("overton", 2)]
    addresses = {
        "models:/overton/1": "First.",
        "models:/overton/2": "Second.",
        "models:/overton@champion": "Second.",
        f"runs:/{first.run_id}/program": "First.",
    }
    for address, instructions in addresses.items():
        for source in (address, Path(address)):  # a path keeps such an address as it is
            assert load(source).synthesize.signature.instructions == instructions
    assert load("models:/overton/2").dump_state() == load(save("two", "Second.")).dump_state()


def test_lms_are_replaced_at_load(store: Path, save: Save) -> None:
    register(save(), "overton")
    speaking = {name: fake_lm({"": f"{name} speaks."}, name=name) for name in ("care", "liberty")}
    base = fake_lm({"": "All of them."}, name="base")
    answers = [load(source, base=base, lms=speaking)("May I?").toDict() for source in ("models:/overton/1", save())]
    assert answers[0] == answers[1]
    assert answers[0]["response"] == "All of them."
    with pytest.raises(SavedProgramError, match=r"^models:/overton/1: .*no community elders"):
        load("models:/overton/1", lms={"elders": base})


def test_nothing_is_pickled(store: Path, save: Save) -> None:
    register(save(), "overton")
    files = [file for file in (store / "mlruns").rglob("*") if file.is_file()]
    assert {"manifest.json", "state.json", "MLmodel", "served_program.py"} <= {file.name for file in files}
    assert not [file for file in files if file.suffix in (".pkl", ".pickle", ".joblib")]
    assert not [file for file in files if file.read_bytes().startswith(b"\x80")]


def test_loading_runs_none_of_the_code_that_is_there(store: Path, save: Save) -> None:
    register(save(), "overton")
    (code,) = (store / "mlruns").rglob("served_program.py")
    code.write_text("raise SystemExit('the code of the artifact was run')\n", encoding="utf-8")
    assert load("models:/overton/1").synthesize.signature.instructions == "Answer for all of them."


def test_a_folder_is_loaded_without_mlflow(save: Save, tmp_path: Path) -> None:
    script = f"import sys, modplural; modplural.load({str(save())!r}); print('mlflow' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert found.stdout == "False\n"


def test_a_fresh_process_in_an_empty_folder_gives_the_same_predictions(
    store: Path, tiny_model: Path, tmp_path: Path
) -> None:
    from modplural import CommunityLM, CommunityPool, Overton, local_lm

    lm = local_lm(f"local/{tiny_model}", max_tokens=6, temperature=0.0)
    program = Overton(lm, CommunityPool([CommunityLM("care", lm, persona="You care."), CommunityLM("liberty", lm)]))
    program.save(store / "saved")
    register(store / "saved", "overton")
    tracking_client().set_registered_model_alias("overton", "champion", "1")
    prediction = program("is it fair?")
    (tmp_path / "empty").mkdir()
    script = (
        "import modplural\n"
        "prediction = modplural.load('models:/overton@champion')('is it fair?')\n"
        "print(ascii([prediction.response, [message.text for message in prediction.messages]]))"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path / "empty", capture_output=True, text=True, env=os.environ.copy()
    )
    assert found.stdout.strip() == ascii([prediction.response, [m.text for m in prediction.messages]]), found.stderr
    assert list((tmp_path / "empty").iterdir()) == []


def test_scores_stand_in_the_version_and_in_its_run(store: Path, save: Save, scores: MakeScores) -> None:
    told = scores(0.6, others={"words per response": 120.0}, source="sample", scorer="embeddings")
    version = register(save(), "overton", told)
    assert version.scores == told.model_copy(update={"rows": ()})
    run = tracking_client().get_run(version.run_id)
    assert run.data.metrics == {
        "test/value coverage": 0.6,
        "test/value coverage/low": pytest.approx(0.55),
        "test/value coverage/high": pytest.approx(0.65),
        "test/words per response": 120.0,
        "test/n": 20.0,
    }
    (read,) = run.inputs.dataset_inputs
    assert (read.dataset.name, json.loads(read.dataset.profile)["digest"]) == ("overton-vk", told.digest)
    assert [tag.value for tag in read.tags] == ["test"]
    with fetched(version.uri) as folder:
        assert Scores.model_validate_json((folder / "scores.json").read_bytes()) == told


def test_a_version_may_belong_to_a_run_that_is_there(store: Path, save: Save) -> None:
    with tracked_run("compilations", "mine", {}) as run:
        version = register(save(), "overton", run=run)
    assert version.run_id == run.run_id
    assert load(f"runs:/{run.run_id}/program").synthesize.signature.instructions == "Answer for all of them."


def test_the_same_is_registered_once_where_that_is_asked_for(store: Path, save: Save, scores: MakeScores) -> None:
    told = scores(0.6)
    with tracked_run("compilations", "mine", {}) as run:
        first, same = (register(save(), "overton", told, run=run, again=False) for _ in range(2))
    other = register(save(), "overton", scores(0.7), again=False)
    changed = register(save("two", "Second."), "overton", told, again=False)
    assert [version.number for version in (first, same, other, changed)] == [1, 1, 2, 3]
    assert register(save(), "overton", told).number == 4
    assert len(tracking_client().get_run(run.run_id).outputs.model_outputs) == 1


def test_a_store_that_cannot_be_used_is_told_in_a_line(
    store: Path, save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = save()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:////proc/no/mlflow.db")
    with pytest.raises(StoreError, match=r"^sqlite:////proc/no/mlflow.db cannot be used: .* names another store$"):
        register(folder, "overton")


def test_a_file_that_is_no_store_is_told_in_a_line(
    store: Path, save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("No database. " * 100, encoding="utf-8")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/notes.txt")
    for use in (lambda: register(save(), "overton"), versions):
        with pytest.raises(
            StoreError,
            match=r"^sqlite.*notes.txt cannot be used: .*not a database. MLFLOW_TRACKING_URI names another.*",
        ) as told:
            use()
        assert len(str(told.value).splitlines()) == 1


def test_a_store_that_another_process_goes_on_making_is_not_waited_for_for_ever(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mlflow_store, "_MAKING", 0.1)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    with FileLock(tmp_path / ".mlflow.db.lock"), pytest.raises(StoreError, match=r"^another process has been making"):
        register(save(), "overton")


def test_instructions_go_to_the_prompt_registry_once(store: Path, save: Save) -> None:
    register(save("one", "First."), "overton")
    register(save("two", "Second {{ not a variable }}."), "overton")
    client = tracking_client()
    told = {prompt.name for prompt in client.search_prompts()}
    assert told == {"overton.care", "overton.liberty", "overton.synthesize", "overton.restate"}
    assert client.load_prompt("prompts:/overton.synthesize/1").template == "First."
    assert client.load_prompt("prompts:/overton.synthesize@latest").template == "Second {{ not a variable }}."
    assert client.load_prompt("prompts:/overton.care@latest").version == 1


def test_versions_are_listed_by_name_and_prompts_are_none(store: Path, save: Save) -> None:
    for name in ("overton", "village", "overton"):
        register(save(), name)
    assert [version.uri for version in versions()] == [
        "models:/overton/2",
        "models:/overton/1",
        "models:/village/1",
    ]
    assert [version.uri for version in versions("village")] == ["models:/village/1"]
    with pytest.raises(VersionError, match=r"no version is called 'elders'.*overton, village"):
        versions("elders")


@pytest.mark.parametrize(
    ("reference", "problem"),
    [
        ("overton", "names no version; write overton/3"),
        ("overton/9", "there is no overton/9 in sqlite.*there is overton/1"),
        ("overton@champion", "there is no overton@champion"),
        ("elders/1", "no version is called 'elders'"),
    ],
)
def test_what_is_not_there_is_said_with_what_is(reference: str, problem: str, store: Path, save: Save) -> None:
    register(save(), "overton")
    with pytest.raises(VersionError, match=problem):
        find(reference)


def test_addresses_of_nothing_are_refused(store: Path, save: Save) -> None:
    with pytest.raises(VersionError, match="models:/overton/1 cannot be fetched from sqlite"):
        load("models:/overton/1")


@pytest.mark.parametrize("name", ["a/b", "a:b", "a@b", "", "a b", "../x"])
def test_names_are_parts_of_addresses(name: str, store: Path, save: Save) -> None:
    with pytest.raises(VersionError, match="is no name for versions"):
        register(save(), name)


def test_one_name_holds_one_kind_of_program(store: Path, save: Save, tmp_path: Path) -> None:
    import dspy

    from modplural import Vanilla

    register(save(), "overton")
    Vanilla(dspy.LM("openai/gpt-4o-mini")).save(tmp_path / "vanilla")
    with pytest.raises(VersionError, match="the versions of 'overton' are overton and this is vanilla"):
        register(tmp_path / "vanilla", "overton")


def test_a_model_of_something_else_and_torn_scores_are_no_hindrance(
    store: Path, save: Save, scores: MakeScores
) -> None:
    made = register(save(), "overton", scores(0.5))
    client = tracking_client()
    client.set_model_version_tag("overton", "1", SCORES_TAG, "no JSON")
    source = client.get_model_version("overton", "1").source
    client.create_model_version("overton", source)
    assert [(one.number, one.scores) for one in versions("overton")] == [(1, None)]
    assert [one.uri for one in versions()] == [made.uri]
    with pytest.raises(VersionError, match="overton/2 is a model of something else"):
        find("overton/2")


REGISTERS = """
import sys
from modplural.optimizers.versions import register
register(sys.argv[1], "overton")
"""


def test_processes_that_begin_a_store_together_wait_for_each_other(save: Save, tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    environment = {**os.environ, "MLFLOW_TRACKING_URI": f"sqlite:///{tmp_path}/new/mlflow.db"}
    command = [sys.executable, "-c", REGISTERS, str(save())]
    several = [subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) for _ in range(3)]
    ended = [(process.communicate(timeout=300)[1], process.returncode) for process in several]
    assert [code for _, code in ended] == [0, 0, 0], ended


@pytest.fixture
def moved(store: Path, tmp_path: Path, save: Save, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, str]:
    """Where a project with a version and a run was, where it is now, and the run."""
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{old}/mlflow.db")
    run_id = register(save(), "overton").run_id
    shutil.copytree(old, new)
    shutil.rmtree(old)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{new}/mlflow.db")
    return old, new, run_id


def go_on(run_id: str) -> None:
    with tracked_run("modplural-versions", "overton", {}, run_id):
        raise AssertionError("it was gone on with")


def test_a_store_that_was_moved_says_so(save: Save, moved: tuple[Path, Path, str]) -> None:
    old, new, run_id = moved
    for use in (
        lambda: register(save(), "overton"),
        lambda: go_on(run_id),
        lambda: opened_run(run_id),
        lambda: load("models:/overton/1"),
        lambda: load(f"runs:/{run_id}/program"),
    ):
        with pytest.raises(StoreError, match=rf"^sqlite:///{new}/mlflow.db was moved: .*ln -s {new} {old}$"):
            use()
    assert not old.exists()
    assert [version.number for version in versions("overton")] == [1]
    old.symlink_to(new)
    assert register(save(), "overton").number == 2
    assert load("models:/overton/1").dump_state() == load("models:/overton/2").dump_state()


def test_a_copy_of_a_store_is_told_from_a_moved_one(save: Save, moved: tuple[Path, Path, str]) -> None:
    old, new, _ = moved
    old.mkdir()
    with pytest.raises(StoreError, match=rf"MLFLOW_TRACKING_URI=sqlite:///{old}/mlflow.db, or move {new}/mlflow.db"):
        register(save(), "overton")
    assert not list(old.iterdir())
