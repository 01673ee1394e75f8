"""The folder of an adapter: held by one training, whatever its settings, and never emptied unasked."""

import os
from pathlib import Path

import pytest
from filelock import Timeout

from modplural.optimizers.training import TrainingError
from modplural.optimizers.training.folder import AdapterFolder


def adapter(folder: Path, content: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "adapter_config.json").write_text(content)
    return folder


def content(folder: Path) -> str:
    return (folder / "adapter_config.json").read_text()


def test_only_one_holds_it_and_nothing_is_left_behind(tmp_path: Path) -> None:
    one, same, other = (AdapterFolder(tmp_path / name, False) for name in ("fair", "fair", "care"))
    with one.held():
        with other.held(), pytest.raises(TrainingError, match=r"another process trains .*fair right now"), same.held():
            pass
        with pytest.raises(TrainingError), same.held():  # who is refused does not take the lock away
            pass
    with same.held():
        pass
    assert list(tmp_path.iterdir()) == []


def test_folders_above_it_stay_only_where_something_is_in_them(tmp_path: Path) -> None:
    folder = AdapterFolder(tmp_path / "adapters" / "old" / "fair", False)
    with pytest.raises(ValueError), folder.held():
        raise ValueError("a base that cannot be used")
    assert list(tmp_path.iterdir()) == []
    with folder.held():
        (tmp_path / "adapters" / "mine").touch()
    assert [path.name for path in (tmp_path / "adapters").iterdir()] == ["mine"]
    folder.path.parent.mkdir()
    with folder.held():
        pass
    assert folder.path.parent.is_dir(), "it was there before"


def test_another_ones_lock_file_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / ".fair.training.lock").touch()  # as a killed training leaves it
    with AdapterFolder(tmp_path / "fair", False).held():
        pass


def test_an_error_of_what_is_done_meanwhile_is_not_taken_for_another_training(tmp_path: Path) -> None:
    with pytest.raises(Timeout), AdapterFolder(tmp_path / "fair", False).held():
        raise Timeout("the lock of something else")


def test_what_was_put_there_before_it_was_held_is_seen(tmp_path: Path) -> None:
    folder = AdapterFolder(adapter(tmp_path / "fair", "old"), False)
    with pytest.raises(FileExistsError, match="holds an adapter"), folder.held():
        pass
    with AdapterFolder(folder.path, True).held():
        pass


@pytest.mark.parametrize("empty", [False, True])
def test_a_finished_adapter_moves_there(empty: bool, tmp_path: Path) -> None:
    if empty:
        (tmp_path / "fair").mkdir()
    made = adapter(tmp_path / "work" / "adapter", "new")
    AdapterFolder(tmp_path / "fair", False).put(made)
    assert content(tmp_path / "fair") == "new"
    assert list((tmp_path / "work").iterdir()) == []


def test_what_came_meanwhile_is_replaced_only_when_asked_for(tmp_path: Path) -> None:
    made = adapter(tmp_path / "work" / "adapter", "new")
    target = adapter(tmp_path / "fair", "theirs")
    with pytest.raises(FileExistsError, match="holds an adapter, which would be lost"):
        AdapterFolder(target, False).put(made)
    assert (content(target), content(made)) == ("theirs", "new")
    AdapterFolder(target, True).put(made)
    assert content(target) == "new"
    assert sorted(os.listdir(tmp_path)) == ["fair", "work"]
    assert list((tmp_path / "work").iterdir()) == []


def test_what_comes_at_the_last_moment_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = adapter(tmp_path / "work" / "adapter", "new")
    target = tmp_path / "fair"
    monkeypatch.setattr(AdapterFolder, "check", lambda folder: adapter(target, "theirs"))
    with pytest.raises(OSError):
        AdapterFolder(target, False).put(made)
    assert (content(target), content(made)) == ("theirs", "new")


def test_trainings_of_other_facts_work_elsewhere(tmp_path: Path) -> None:
    folder = AdapterFolder(tmp_path / "fair", False)
    assert folder.work({"a": 1, "b": 2}) == folder.work({"b": 2, "a": 1}) != folder.work({"a": 1, "b": 3})
    assert folder.work({}).parent == tmp_path
