"""Editing pool files: what their owners wrote stays, and a file is replaced whole, by a pool, or not at all."""

import os
from pathlib import Path

import pytest

from modplural import load_pool
from modplural.pool_editing import (
    PoolEditError,
    add_community,
    check_addable,
    copy_preset,
    relative_to_pool,
    remove_communities,
)
from modplural.poolfile import PoolFileError, preset_names
from modplural.programs.config import CommunityConfig

POOL = """\
# The village, as of spring.
base: {model: openai/base}   # asks nobody
communities:
  # all their lives here
  - name: elders
    description: 'Over seventy.'
    persona: "You speak for old people."
    weight: 2
"""
NEW = CommunityConfig(name="newcomers", description="They moved here: lately.", persona="You are new.")


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    file = tmp_path / "pool.yaml"
    file.write_text(POOL)
    file.chmod(0o640)
    return file


def test_a_community_is_added_at_the_end(pool_file: Path) -> None:
    pool = add_community(pool_file, NEW)
    assert pool == load_pool(pool_file)
    assert pool_file.read_text() == (
        POOL + "  - name: newcomers\n    description: 'They moved here: lately.'\n    persona: You are new.\n"
    )
    assert pool_file.stat().st_mode & 0o777 == 0o640
    assert os.listdir(pool_file.parent) == ["pool.yaml"]


@pytest.mark.parametrize("preset", preset_names())
def test_a_copied_preset_is_the_same_after_adding_and_removing(preset: str, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    copy_preset(preset, file)
    before = file.read_bytes()
    assert load_pool(file) == load_pool(preset)
    add_community(file, NEW)
    assert load_pool(file).communities[-1] == NEW
    remove_communities(file, ["newcomers"])
    assert file.read_bytes() == before


def test_a_byte_order_mark_and_a_link_stay(pool_file: Path, tmp_path: Path) -> None:
    pool_file.write_bytes(b"\xef\xbb\xbf" + POOL.encode())
    link = tmp_path / "link.yaml"
    link.symlink_to(pool_file)
    add_community(link, NEW)
    assert link.is_symlink()
    assert pool_file.read_bytes().startswith(b"\xef\xbb\xbf# The village")
    assert len(load_pool(pool_file).communities) == 2


def test_several_are_removed_in_any_order(pool_file: Path) -> None:
    for name in ("a", "b", "c"):
        add_community(pool_file, NEW.model_copy(update={"name": name}))
    left = remove_communities(pool_file, ["c", "elders", "a"])
    assert [community.name for community in left.communities] == ["b"]
    assert pool_file.read_text().startswith(POOL[: POOL.index("  - name")])


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda file: add_community(file, NEW.model_copy(update={"name": "elders"})), "'elders' already"),
        (lambda file: remove_communities(file, ["elders"]), "left without a community"),
        (lambda file: remove_communities(file, ["elder"]), "no community 'elder'; it has elders"),
        (
            lambda file: add_community(file, CommunityConfig(name="new", description="New.", adapter="./new")),
            r"would be no pool any more(.|\n)*takes no adapter; serve the adapter there",
        ),
    ],
)
def test_what_makes_no_pool_is_not_written(edit: object, said: str, pool_file: Path) -> None:
    with pytest.raises(PoolEditError, match=said):
        edit(pool_file)  # type: ignore[operator]
    assert pool_file.read_text() == POOL


def test_an_entry_that_others_refer_to_is_not_removed(pool_file: Path) -> None:
    text = POOL.replace("'Over seventy.'", "&who 'Over seventy.'") + (
        "  - name: others\n    description: *who\n    persona: Speak.\n"
    )
    pool_file.write_text(text)
    with pytest.raises(PoolEditError, match="edit it by hand"):
        remove_communities(pool_file, ["elders"])
    assert pool_file.read_text() == text


def test_a_file_that_is_no_pool_is_not_edited(pool_file: Path, tmp_path: Path) -> None:
    pool_file.write_text("base: 1")
    with pytest.raises(PoolFileError, match=r"pool\.yaml:1: base"):
        add_community(pool_file, NEW)
    with pytest.raises(PoolFileError, match=r"`modplural communities copy default .*none.yaml` makes one"):
        add_community(tmp_path / "none.yaml", NEW)


def test_an_edit_in_between_is_not_lost(pool_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.fsync", lambda _: pool_file.write_text(f"{POOL}# and more"))
    with pytest.raises(PoolEditError, match="changed by somebody else just now"):
        add_community(pool_file, NEW)
    assert pool_file.read_text() == f"{POOL}# and more"
    assert os.listdir(pool_file.parent) == ["pool.yaml"]


def test_presets_are_not_edited_and_files_not_overwritten(pool_file: Path) -> None:
    for edit in (lambda: add_community("default", NEW), lambda: check_addable("default", "new")):
        with pytest.raises(PoolEditError, match=r"`modplural communities copy default my-pool\.yaml`"):
            edit()
    with pytest.raises(PoolEditError, match="is there already"):
        copy_preset("default", pool_file)
    with pytest.raises(PoolEditError, match="no preset 'defaults'; presets are culture, default"):
        copy_preset("defaults", pool_file.with_name("other.yaml"))
    assert pool_file.read_text() == POOL


def test_paths_become_relative_to_the_pool_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work" / "adapters" / "new").mkdir(parents=True)
    (tmp_path / "pools").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    inside, beside = tmp_path / "work" / "pool.yaml", tmp_path / "pools" / "pool.yaml"
    assert relative_to_pool("adapters/new", inside) == "./adapters/new"
    assert relative_to_pool("./adapters/new", "pool.yaml") == "./adapters/new"
    assert relative_to_pool("adapters/new", beside) == "../work/adapters/new"
    absolute = str(tmp_path / "work" / "adapters" / "new")
    assert relative_to_pool(absolute, beside) == absolute
    assert relative_to_pool("owner/name", beside) == "owner/name"
    for file in (inside, beside):
        file.write_text(
            "base: {model: local/smollm2-135m-instruct}\ncommunities:\n- {name: a, description: A, persona: A}\n"
        )
        adapter = relative_to_pool("adapters/new", file)
        add_community(file, CommunityConfig(name="new", description="New.", adapter=adapter))
        assert load_pool(file).communities[1].adapter == absolute
