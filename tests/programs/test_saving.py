"""Saved programs: complete, free of secrets and code, replaced whole, refused with a reason where they do not fit."""

import json
import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.programs.baselines import MixtureOfExperts, Prompted, Vanilla
from modplural.programs.community import CommunityLM
from modplural.programs.config import LMConfig
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import SavedProgramError
from modplural.programs.lms import build_lm
from modplural.programs.measurement import Measurement
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool, FailurePolicy
from modplural.programs.program import Program
from modplural.programs.saving import PROGRAMS, load
from modplural.programs.steerable import Steerable

Edit = Callable[[Any], Any]
EXAMPLE = dspy.Example(query="May one lie?", message="Lies hurt.")


@pytest.fixture(autouse=True)
def no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def served_pool() -> CommunityPool:
    """Communities on a server that is never asked."""
    lm = dspy.LM("hosted_vllm/care", api_base="http://127.0.0.1:8000/v1", temperature=0.5, max_tokens=64)
    care = CommunityLM("care", lm, description="Those who care.", persona="You care.", examples=[EXAMPLE])
    return CommunityPool([care, CommunityLM("liberty", lm)])


def served(kind: type[Program], pool: CommunityPool | None = None) -> Any:
    base = dspy.LM("openai/gpt-4o-mini", temperature=0.0)
    return kind(base) if kind in (Vanilla, Prompted) else kind(base, pool or served_pool())  # type: ignore[call-arg]


def learn(program: Any) -> None:
    """Change every learned thing a program has."""
    for place, (_, predictor) in enumerate(program.named_predictors()):
        predictor.signature = predictor.signature.with_instructions(f"Learned instructions {place}.")
        predictor.demos = [dspy.Example(augmented=True, query=f"Demo {place}?", response="Yes.", choice="yes")]
    if isinstance(program, Overton):
        program.synthesis.value = "refine"
    if isinstance(program, Distributional):
        program.pooling.value = "logarithmic"
        program.choose.measurement = Measurement("letters", temperature=2.5)
    if hasattr(program, "pool"):
        program.pool.weights.update({"care": 0.25})


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


SECRETS = {
    "api_key": "canary-key",
    "headers": {"Authorization": "Bearer canary-header"},
    "extra_headers": {"X-Key": "canary-extra-header"},
    "extra_body": {"token": "canary-body"},
    "api_base": "http://me:canary-password@host:8000/v1?key=canary-query#canary-fragment",
}


def test_no_secret_is_written_anywhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    lm = dspy.LM("openai/any", **SECRETS)
    program = Overton(lm, CommunityPool([CommunityLM("care", lm.copy())]))
    program.set_lm(lm)
    program.save(tmp_path / "saved")
    program.save(tmp_path / "state.json")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) == 3
    assert not [path for path in files if "canary" in path.read_text()]
    assert "canary" not in caplog.text
    assert "of the LM of base these settings are not saved: " in caplog.text
    assert load(tmp_path / "saved").base.kwargs["api_base"] == "http://host:8000/v1"


def test_settings_of_predictors_are_not_lost_in_silence(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    program = served(Overton)
    program.restate.update_config(max_tokens=40)
    program.save(tmp_path / "saved")
    assert caplog.messages == ["of restate these settings are not saved: max_tokens; set them on its LM instead"]


def test_a_key_is_read_again_from_the_variable_it_came_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "canary-key")
    Vanilla(build_lm(LMConfig(model="openai/any", api_key_env="SOME_KEY"))).save(tmp_path / "saved")
    assert "canary" not in (tmp_path / "saved" / "manifest.json").read_text()
    monkeypatch.setenv("SOME_KEY", "another-key")
    assert load(tmp_path / "saved").base.kwargs["api_key"] == "another-key"
    monkeypatch.delenv("SOME_KEY")
    with pytest.raises(SavedProgramError, match=r"SOME_KEY .*; or give another LM to load: base="):
        load(tmp_path / "saved")
    load(tmp_path / "saved", base=fake_lm())


def test_a_saved_program_cannot_send_our_keys_to_its_maker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served(Vanilla).save(tmp_path / "saved")
    path = tmp_path / "saved" / "manifest.json"
    base = {"model": "openai/any", "api_base": "https://evil.example/v1", "api_key_env": "SOME_KEY"}
    path.write_text(json.dumps(put("base", base)(json.loads(path.read_text()))))
    monkeypatch.setenv("SOME_KEY", "canary-key")
    with pytest.raises(
        SavedProgramError, match=r"SOME_KEY to evil\.example, which .*; or give another LM to load: base="
    ):
        load(tmp_path / "saved")
    monkeypatch.setenv("MODPLURAL_KEY_SERVERS", "evil.example")
    assert load(tmp_path / "saved").base.kwargs["api_key"] == "canary-key"


def test_an_lm_without_a_key_is_saved_without_remarks(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    Vanilla(build_lm(LMConfig(model="openai/any", api_base="https://host.example/v1"))).save(tmp_path / "saved")
    assert not caplog.messages
    assert load(tmp_path / "saved").base.kwargs["api_base"] == "https://host.example/v1"


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


def test_pickles_and_programs_of_others_are_refused(tmp_path: Path) -> None:
    class Mine(Overton):
        pass

    program = served(Overton)
    for refused in (lambda: program.save(tmp_path / "a", save_program=True), lambda: program.save(tmp_path / "a.pkl")):
        with pytest.raises(SavedProgramError, match="pickles run code"):
            refused()
    with pytest.raises(SavedProgramError, match="programs are loaded from JSON"):
        program.load(tmp_path / "a.pkl", allow_pickle=True)
    with pytest.raises(SavedProgramError, match="Mine could not be made again from a folder; programs that can are"):
        served(Mine).save(tmp_path / "a")
    assert not list(tmp_path.iterdir())


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


def put(path: str, value: Any) -> Edit:
    """An edit that sets one value, at a path such as `a/b/0/c`."""

    def edit(data: Any) -> Any:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place = data
        for parent in parents:
            place = place[parent]
        place[last] = value
        return data

    return edit


def drop(key: str) -> Edit:
    return lambda data: {name: value for name, value in data.items() if name != key}


@pytest.mark.parametrize(
    ("file", "edit", "message"),
    [
        ("manifest", put("format", 2), "saved by a newer modplural, in format 2, this one reads up to 1"),
        ("manifest", put("format", 0), "names format 0; formats are numbered from 1"),
        ("manifest", put("format", "1"), "no manifest of a saved program"),
        ("manifest", drop("format"), "no manifest of a saved program"),
        ("manifest", lambda data: [data], "no manifest of a saved program"),
        ("manifest", put("program", "os.system"), "was saved as 'os.system'; programs are overton, steerable"),
        ("manifest", put("program", "steerable"), "does not fit Steerable: these predictors are others"),
        ("manifest", put("predictors/restate", "message, query -> sentence"), "other fields: restate"),
        ("manifest", put("base/engine", "os:system"), "is damaged"),
        ("manifest", put("base/api_base", "http://me:canary@host"), "is damaged"),
        ("manifest", put("communities/0/name", "../../etc"), "is damaged"),
        ("manifest", put("communities/0/name", "liberty"), "has a community 'liberty' already"),
        ("manifest", put("communities", []), "other fields: pool.communities['care'].comment"),
        ("manifest", put("failures/at_least", 0), "at_least is 0"),
        ("manifest", put("failures/at_least", 3), "3 communities must have a message and there are 2"),
        ("manifest", put("communities/0/description", " "), "is damaged: communities.0.description"),
        ("manifest", put("failures/action", "ignore"), "is damaged"),
        ("manifest", put("failures/timeout", math.inf), "timeout is inf; it is a number of seconds above zero"),
        ("manifest", put("failures/timeout", 10**400), "is damaged: failures.timeout"),
        ("manifest", put("failures/timeout", "3"), "is damaged: failures.timeout"),
        ("manifest", put("extra", 1), "is damaged"),
        ("state", lambda data: [], "the state is list ([])"),
        ("state", drop("restate"), "the state does not fit Overton: it has no restate"),
        ("state", put("evil", {}), "the state does not fit Overton: it has an unknown evil"),
        ("state", put("restate", None), "the state of restate is NoneType (None), not an object"),
        ("state", put("restate/forward", "x"), "the state of restate has the entries"),
        ("state", put("restate/callbacks", []), "the state of restate has the entries"),
        ("state", put("restate/lm", {"model": "openai/evil"}), "the state of restate brings an LM of its own"),
        ("state", put("restate/demos", {}), "demos of restate is dict ({}), not a list"),
        ("state", put("restate/demos", ["x"]), "the demos of restate are not all objects"),
        ("state", put("restate/demos", [{}]), "demos[0] of restate has none of the fields query, message, sentence"),
        ("state", put("restate/demos", [{"query": "A?"}, {"other": 1}]), "demos[1] of restate has none of the fields"),
        ("state", put("restate/demos", [{"query": 3}]), "query in demos[0] of restate is int (3) and cannot be shown"),
        ("state", put("restate/demos", [{"query": ["a"]}]), "query in demos[0] of restate is list (['a'])"),
        ("state", put("restate/traces", [1]), "traces[0] of restate is int (1), not an object"),
        ("state", put("restate/train", [None]), "train[0] of restate is NoneType (None), not an object"),
        ("state", put("restate/traces", None), "traces of restate is NoneType (None), not a list"),
        ("state", put("restate/train", "x"), "train of restate is str (x), not a list"),
        ("state", put("restate/signature", "a -> b"), "the signature of restate must be"),
        ("state", put("restate/signature/instructions", 3), "the signature of restate must be"),
        ("state", put("restate/signature/fields", []), "for each of its 3 fields"),
        ("state", put("restate/signature/fields/0", {"prefix": "Query:"}), "the signature of restate must be"),
        ("state", put("restate/signature/fields/0/prefix", None), "the signature of restate must be"),
        ("state", put("restate/signature/instructions", " \n"), "the instructions of restate are blank"),
        (
            "state",
            put("pool.communities['care'].comment/signature/instructions", ""),
            "the instructions of pool.communities['care'].comment are blank",
        ),
        ("state", put("restate/signature/fields/1/prefix", " "), "restate has a field whose prefix is blank"),
        ("state", put("synthesis/value", "all"), "the synthesis strategy cannot be 'all'"),
        ("state", put("synthesis", {"value": ["joint"]}), "the synthesis strategy cannot be ['joint']"),
        ("state", put("pool.weights/care", -1), "the weight of 'care' is -1"),
        ("state", put("pool.weights/care", 10**400), "the weight of 'care' is a whole number of more than 18 digits"),
        ("state", put("pool.weights/care", "1"), "the weight of 'care' is '1'"),
        ("state", put("pool.weights", {}), "the state weighs []"),
    ],
)
def test_an_edited_program_is_refused_with_a_reason(file: str, edit: Edit, message: str, tmp_path: Path) -> None:
    program = served(Overton)
    program.save(tmp_path / "saved")
    before = program.dump_state()
    path = tmp_path / "saved" / f"{file}.json"
    path.write_text(json.dumps(edit(json.loads(path.read_text()))))
    with pytest.raises(SavedProgramError, match=re.escape(message)):
        load(tmp_path / "saved")
    if file == "state":
        with pytest.raises(SavedProgramError, match=re.escape(message)):
            program.load(tmp_path / "saved")
        assert program.dump_state() == before


def test_a_measurement_that_makes_no_sense_is_refused(tmp_path: Path) -> None:
    served(Distributional).save(tmp_path / "saved")
    path = tmp_path / "saved" / "state.json"
    for measurement in ({"strategy": "guess", "temperature": 1.0, "bias": {}}, {"strategy": []}, None, "letters"):
        edited = put("choose/measurement", measurement)(json.loads(path.read_text()))
        path.write_text(json.dumps(edited))
        with pytest.raises(SavedProgramError, match="the state cannot be taken"):
            load(tmp_path / "saved")


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000])
@pytest.mark.parametrize("file", ["manifest.json", "state.json"])
def test_a_damaged_file_is_refused(file: str, content: bytes, tmp_path: Path) -> None:
    served(Vanilla).save(tmp_path / "saved")
    (tmp_path / "saved" / file).write_bytes(content)
    with pytest.raises(SavedProgramError, match=f"{file} is damaged: it is not JSON"):
        load(tmp_path / "saved")


@pytest.mark.parametrize("file", ["manifest.json", "state.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(file: str, tmp_path: Path) -> None:
    served(Vanilla).save(tmp_path / "saved")
    (tmp_path / "saved" / file).unlink()
    (tmp_path / "saved" / file).mkdir()
    with pytest.raises(SavedProgramError, match=f"{file} cannot be read .*; it must be a file"):
        load(tmp_path / "saved")


def test_demos_of_optimizers_come_back(tmp_path: Path) -> None:
    program = served(Distributional)
    program.choose.demos = [
        dspy.Example(query="A?", attribute=None, options=("yes", "no"), choice="yes", augmented=True),
        dspy.Example(query="Of another signature?", response="Yes."),
    ]
    program.save(tmp_path / "saved")
    loaded: Any = load(tmp_path / "saved")
    assert [demo["query"] for demo in loaded.choose.demos] == ["A?", "Of another signature?"]


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    blank, told, greedy, muddled = (served(Overton) for _ in range(4))
    blank.pool["care"].description = " "
    told.restate.signature = told.restate.signature.with_instructions(" ")
    greedy.failures = FailurePolicy("continue", at_least=3)
    muddled.restate.demos = [dspy.Example(other=1)]
    for program, message in (
        (blank, "the description of 'care' is blank, so the mixture of experts could not route to it; say in"),
        (told, "the instructions of restate are blank"),
        (greedy, r"Overton could not be loaded again: failures\.at_least: 3 communities must"),
        (muddled, r"demos\[0\] of restate has none of the fields"),
    ):
        with pytest.raises(SavedProgramError, match=message):
            program.save(tmp_path / "saved")
    assert not list(tmp_path.iterdir())


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for name in ("nowhere", "file", "."):
        with pytest.raises(SavedProgramError, match=r"is no saved program: there is no manifest\.json in it"):
            load(tmp_path / name)
    served(Vanilla).save(tmp_path / "saved")
    (tmp_path / "saved" / "state.json").unlink()
    with pytest.raises(SavedProgramError, match=r"there is no state\.json in it"):
        load(tmp_path / "saved")


def test_text_in_any_script_comes_back(tmp_path: Path) -> None:
    program = served(MixtureOfExperts)
    program.respond.signature = program.respond.signature.with_instructions("公平に答えて — «équité» 🙂")
    program.save(tmp_path / "saved")
    assert "公平に答えて" in (tmp_path / "saved" / "state.json").read_text(encoding="utf-8")
    loaded: Any = load(tmp_path / "saved")
    assert loaded.respond.signature.instructions == "公平に答えて — «équité» 🙂"
