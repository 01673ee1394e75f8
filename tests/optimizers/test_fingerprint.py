"""What tells two programs apart, and what must not."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dspy
import pytest

from modplural.optimizers.fingerprint import fingerprint
from modplural.programs.baselines import Vanilla
from modplural.programs.engines.fake import fake_lm


@dataclass(frozen=True)
class Persona:
    name: str


class Member(dspy.Module):
    def __init__(self, name: str, lm: dspy.LM) -> None:
        super().__init__()
        self.persona = Persona(name)
        self.lm = lm
        self.comment = dspy.Predict("query -> message")
        self.examples = [dspy.Example(query="Why?", message="Because.")]


class Program(dspy.Module):
    def __init__(self) -> None:
        super().__init__()
        shared, other = lm("openai/a"), lm("openai/b")
        self.members = [Member("care", shared), Member("fairness", other), Member("liberty", shared)]
        self.least = 2
        self._choose = dspy.Predict("messages -> number")


def lm(model: str, **settings: Any) -> dspy.LM:
    return dspy.LM(model, api_key="sk-secret", headers={"X-Secret": "hush"}, **settings)


def change_instructions(program: Program) -> None:
    predictor = program.members[0].comment
    predictor.signature = predictor.signature.with_instructions("Say it kindly.")


CHANGES: dict[str, Callable[[Program], Any]] = {
    "program.members[0].comment.signature": change_instructions,
    "program.members[1].comment.demos": lambda p: p.members[1].comment.demos.append(dspy.Example(query="q")),
    "program.members[1].examples[0]['message']": lambda p: setattr(p.members[1].examples[0], "message", "So that."),
    "program.members[1].persona.name": lambda p: setattr(p.members[1], "persona", Persona("justice")),
    "program.members[2].lm.model": lambda p: setattr(p.members[2], "lm", p.members[1].lm),
    "program.members[0].lm.temperature": lambda p: setattr(p.members[0], "lm", lm("openai/a", temperature=0.3)),
    "program.members[3]": lambda p: p.members.append(Member("loyalty", p.members[0].lm)),
    "program._choose.demos": lambda p: p._choose.demos.append(dspy.Example(number="1")),
    "program.least": lambda p: setattr(p, "least", 1),
}


@pytest.mark.parametrize("place", CHANGES)
def test_whatever_changes_an_answer_shows_at_its_place(place: str) -> None:
    before, program = fingerprint(Program()), Program()
    CHANGES[place](program)
    after = fingerprint(program)
    changed = {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}
    assert changed
    assert all(name.startswith(place) for name in changed)


def test_programs_built_alike_are_the_same_also_after_use() -> None:
    program = Program()
    program.history.append({"prompt": "something"})
    program._calls = 3
    assert fingerprint(program) == fingerprint(Program()) == fingerprint(copy.deepcopy(program))


def test_no_secret_enters() -> None:
    program = Program()
    program.token = "sk-secret"
    text = repr(fingerprint(program))
    assert "openai/a" in text
    assert "sk-secret" not in text
    assert "hush" not in text


def test_a_program_without_an_lm_is_told_by_the_configured_one() -> None:
    program = dspy.Predict("question -> answer")
    with dspy.context(lm=lm("openai/a")):
        first = fingerprint(program)
    with dspy.context(lm=lm("openai/b")):
        assert first != fingerprint(program)


def test_a_program_that_holds_itself_is_described() -> None:
    program = Program()
    program.members.append(program)
    assert fingerprint(program)


def test_another_server_is_another_program_and_its_address_is_not_written() -> None:
    one, other = (dspy.LM("openai/m", api_base=f"http://user:password@{host}/v1") for host in ("a", "b"))
    assert fingerprint(Vanilla(one)) != fingerprint(Vanilla(other))
    assert "password" not in str(fingerprint(Vanilla(one)))


def test_a_predictor_with_an_lm_that_cannot_be_saved_is_described_by_its_model() -> None:
    vanilla = Vanilla(fake_lm(name="base"))
    vanilla.set_lm(fake_lm(name="other"))
    assert fingerprint(vanilla)["program.respond.lm.model"] == "fake/other"
