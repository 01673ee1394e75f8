"""What is no saved program, was edited or damaged, is refused with a reason; what could not be loaded is not saved."""

import json
import math
import re
from pathlib import Path

import dspy
import pytest

from modplural.programs.baselines import Vanilla
from modplural.programs.distributional import Distributional
from modplural.programs.errors import SavedProgramError
from modplural.programs.overton import Overton
from modplural.programs.pool import FailurePolicy
from modplural.programs.saving import load

from .saved_programs import Edit, drop, put, served

pytestmark = pytest.mark.usefixtures("no_keys")


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


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b'["\\ud800"]'])
@pytest.mark.parametrize("file", ["manifest.json", "state.json"])
def test_a_damaged_file_is_refused(file: str, content: bytes, tmp_path: Path) -> None:
    served(Vanilla).save(tmp_path / "saved")
    (tmp_path / "saved" / file).write_bytes(content)
    with pytest.raises(SavedProgramError, match=f"{file} is damaged: it is not JSON"):
        load(tmp_path / "saved")


@pytest.mark.parametrize(
    ("file", "path", "place"),
    [
        ("manifest", "communities/0/examples/0/query", "communities.0.examples.0.query"),
        ("manifest", "predictors/\ud800", "predictors"),
        ("state", "restate/signature/instructions", "restate.signature.instructions"),
        ("state", "pool.communities['care'].comment/demos", "pool.communities['care'].comment.demos"),
    ],
)
def test_half_a_character_is_refused_with_its_place(file: str, path: str, place: str, tmp_path: Path) -> None:
    served(Overton).save(tmp_path / "saved")
    written = tmp_path / "saved" / f"{file}.json"
    edited = put(path, "ab\ud800")(json.loads(written.read_text()))
    written.write_text(json.dumps(edited))
    with pytest.raises(
        SavedProgramError, match=rf"{file}\.json is damaged: .*\({re.escape(place)} holds U\+D800 at cha"
    ):
        load(tmp_path / "saved")


@pytest.mark.parametrize("file", ["manifest.json", "state.json"])
def test_a_folder_in_the_place_of_a_file_is_refused(file: str, tmp_path: Path) -> None:
    served(Vanilla).save(tmp_path / "saved")
    (tmp_path / "saved" / file).unlink()
    (tmp_path / "saved" / file).mkdir()
    with pytest.raises(SavedProgramError, match=f"{file} cannot be read .*; it must be a file"):
        load(tmp_path / "saved")


def test_what_could_not_be_loaded_is_not_saved(tmp_path: Path) -> None:
    blank, told, greedy, muddled, renamed, unweighed, longer = (served(Overton) for _ in range(7))
    blank.pool["care"].description = " "
    told.restate.signature = told.restate.signature.with_instructions(" ")
    greedy.failures = FailurePolicy("continue", at_least=3)
    muddled.restate.demos = [dspy.Example(other=1)]
    renamed.pool["care"].name = "kindness"
    unweighed.pool.weights.remove("care")
    longer.restate.signature = longer.restate.signature.append("tone", dspy.InputField())
    for program, message in (
        (blank, "the description of 'care' is blank, so the mixture of experts could not route to it; say in"),
        (told, "the instructions of restate are blank"),
        (greedy, r"Overton could not be loaded again: failures\.at_least: 3 communities must"),
        (muddled, r"demos\[0\] of restate has none of the fields"),
        (
            renamed,
            r"Overton could not be loaded again: .* have other fields: pool\.communities\['care'\]\.comment, pool",
        ),
        (unweighed, r"Overton could not be loaded again: .* the state weighs \['liberty'\], not \['care', 'liberty'\]"),
        (longer, "Overton could not be loaded again: .* these predictors are others or have other fields: restate"),
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
