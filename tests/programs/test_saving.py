"""Saved programs: complete, replaced whole, and what comes back of them."""

import json
import re
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.programs.baselines import MixtureOfExperts, Vanilla
from modplural.programs.config import LMConfig
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import SavedProgramError
from modplural.programs.lms import build_lm
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool, FailurePolicy
from modplural.programs.program import Program
from modplural.programs.saving import PROGRAMS, load
from modplural.programs.steerable import Steerable

from .saved_programs import EXAMPLE, learn, served, served_pool

pytestmark = pytest.mark.usefixtures("no_keys")


@pytest.mark.parametrize("kind", PROGRAMS.values(), ids=PROGRAMS)
def test_every_program_comes_back_as_it_was(kind: type[Program], tmp_path: Path) -> None:
    program = served(kind)
    learn(program)
    program.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved")
    assert type(loaded) is kind
    assert loaded.dump_state() == program.dump_state()
    assert sorted(path.name for path in (tmp_path / "saved").iterdir()) == ["manifest.json", "state.json"]
    for lm, original in zip(lms(loaded), lms(program), strict=True):
        assert (lm.model, lm.kwargs.get("api_base")) == (original.model, original.kwargs.get("api_base"))
        assert [lm.kwargs.get(n) for n in ("temperature", "max_tokens")] == [
            original.kwargs.get(n) for n in ("temperature", "max_tokens")
        ]


def lms(program: Any) -> list[dspy.LM]:
    return [program.base, *(member.lm for member in getattr(program, "pool", ()))]


@pytest.mark.parametrize("kind", [Overton, MixtureOfExperts])
def test_the_pool_and_its_policy_come_back(kind: Any, tmp_path: Path) -> None:
    policy = FailurePolicy("continue", at_least=2, timeout=9.5)
    kind(dspy.LM("openai/gpt-4o-mini"), served_pool(), failures=policy).save(tmp_path / "saved")
    loaded: Any = load(tmp_path / "saved")
    assert loaded.failures == policy
    assert [member.name for member in loaded.pool] == ["care", "liberty"]
    care = loaded.pool["care"]
    assert care.description == "Those who care."
    assert care.comment.signature.instructions == "You care."
    assert [example.toDict() for example in care.examples] == [EXAMPLE.toDict()]
    assert care.lm is loaded.pool["liberty"].lm


async def test_a_loaded_program_answers_with_the_lms_it_is_given(run: Any, pool: CommunityPool, tmp_path: Path) -> None:
    program = Overton(fake_lm({"": "All of them."}, name="base"), pool)
    program.save(tmp_path / "saved")
    given = {member.name: member.lm for member in pool}
    loaded = load(tmp_path / "saved", base=program.base, lms=given)
    assert (await run(loaded, "Is it right?")).toDict() == (await run(program, "Is it right?")).toDict()


def test_lms_that_cannot_be_described_are_asked_for_by_name(pool: CommunityPool, tmp_path: Path) -> None:
    pool["liberty"].lm = dspy.LM("openai/gpt-4o-mini")
    Overton(fake_lm(name="base"), pool).save(tmp_path / "saved")
    missing = "base=... for fake/base; lms={'care': ...} for fake/care; lms={'fairness': ...} for fake/fairness"
    with pytest.raises(SavedProgramError, match=re.escape(missing)):
        load(tmp_path / "saved")
    with pytest.raises(SavedProgramError, match="no community elders to give an LM to"):
        load(tmp_path / "saved", lms={"elders": fake_lm()})


def test_a_compiled_program_comes_back_with_its_demos(pool: CommunityPool, tmp_path: Path) -> None:
    program = Overton(fake_lm({"": "All of them."}, name="base"), pool)
    trainset = [dspy.Example(query=f"Is {n} right?", response="All of them.").with_inputs("query") for n in range(3)]
    compiled = dspy.BootstrapFewShot(lambda *_: True, max_bootstrapped_demos=2).compile(program, trainset=trainset)
    compiled.save(tmp_path / "saved")
    loaded = load(tmp_path / "saved", base=program.base, lms={member.name: member.lm for member in pool})
    assert loaded("Is 4 right?").response == "All of them."
    assert program.base.engine.prompts[-1].count("All of them.") == 3


def test_local_lms_come_back_from_any_folder(
    tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tiny_model.parent)
    lm = build_lm(LMConfig(model="local/./tiny", adapter=str(tiny_adapters["care"])))
    Vanilla(lm).save(tmp_path / "saved")
    monkeypatch.chdir(tmp_path)
    assert load("saved").base.model == lm.model


def test_a_saved_program_is_replaced(tmp_path: Path) -> None:
    served(Vanilla).save(tmp_path / "saved")
    served(Steerable).save(tmp_path / "saved")
    assert isinstance(load(tmp_path / "saved"), Steerable)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_a_failure_while_saving_leaves_the_former_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(Vanilla).save(tmp_path / "saved")
    program = served(Overton)
    program.synthesize.demos = [{"query": "May one lie?", "other": object()}]
    with pytest.raises(SavedProgramError, match=r"state\.json cannot be saved: something in it, perhaps in a demo"):
        program.save(tmp_path / "saved")
    rename = Path.rename

    def failing(self: Path, target: Path) -> Path:
        if self.suffix == ".new":
            raise OSError("the disk is full")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="the disk is full"):
        served(Overton).save(tmp_path / "saved")
    assert isinstance(load(tmp_path / "saved"), Vanilla)
    assert [path.name for path in tmp_path.iterdir()] == ["saved"]


def test_what_is_no_saved_program_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "notes.txt").write_text("mine")
    served(Vanilla).save(tmp_path / "mixed")
    (tmp_path / "mixed" / "notes.txt").write_text("mine")
    for name in ("file", "folder", "mixed"):
        with pytest.raises(FileExistsError, match="is no saved program; it is left as it is"):
            served(Vanilla).save(tmp_path / name)
    assert [path.read_text() for path in tmp_path.rglob("*") if path.name in ("file", "notes.txt")] == ["mine"] * 3
    (tmp_path / "empty").mkdir()
    served(Vanilla).save(tmp_path / "empty")
    load(tmp_path / "empty")


def test_dspy_state_files_are_written_and_read_without_lms(tmp_path: Path) -> None:
    program, other = served(Overton), served(Overton)
    learn(program)
    program.save(tmp_path / "state.json")
    other.load(tmp_path / "state.json")
    assert other.dump_state() == program.dump_state()
    state = json.loads((tmp_path / "state.json").read_text())
    state["synthesize"]["lm"] = {"model": "openai/evil", "api_base": "http://evil"}
    (tmp_path / "state.json").write_text(json.dumps(state))
    with pytest.raises(SavedProgramError, match="the state of synthesize brings an LM of its own"):
        other.load(tmp_path / "state.json")


def test_a_program_takes_over_what_another_of_its_kind_learned(tmp_path: Path) -> None:
    program = served(Steerable)
    learn(program)
    program.save(tmp_path / "saved")
    mine = served(Steerable)
    mine.load(tmp_path / "saved")
    assert mine.dump_state() == program.dump_state()
    with pytest.raises(SavedProgramError, match="was saved as steerable, which is no Overton"):
        served(Overton).load(tmp_path / "saved")
    pool = served_pool()
    pool.remove("liberty")
    with pytest.raises(SavedProgramError, match=re.escape("other fields: pool.communities['liberty'].comment")):
        served(Steerable, pool).load(tmp_path / "saved")


def test_demos_of_optimizers_come_back(tmp_path: Path) -> None:
    program = served(Distributional)
    program.choose.demos = [
        dspy.Example(query="A?", attribute=None, options=("yes", "no"), choice="yes", augmented=True),
        dspy.Example(query="Of another signature?", response="Yes."),
    ]
    program.save(tmp_path / "saved")
    loaded: Any = load(tmp_path / "saved")
    assert [demo["query"] for demo in loaded.choose.demos] == ["A?", "Of another signature?"]


def test_text_in_any_script_comes_back(tmp_path: Path) -> None:
    program = served(MixtureOfExperts)
    program.respond.signature = program.respond.signature.with_instructions("公平に答えて — «équité» 🙂")
    program.save(tmp_path / "saved")
    assert "公平に答えて" in (tmp_path / "saved" / "state.json").read_text(encoding="utf-8")
    loaded: Any = load(tmp_path / "saved")
    assert loaded.respond.signature.instructions == "公平に答えて — «équité» 🙂"
