"""The bench: several programs answer at the same time, each example by one program of a chain after the other."""

import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import dspy
import pytest
from dspy.lm15 import Request

from modplural.optimizers.compilation import Bench
from modplural.optimizers.compilation.bench import Asked
from modplural.optimizers.compilation.ledger import BudgetSpent
from modplural.optimizers.journal import RunError
from modplural.programs.baselines import Vanilla
from modplural.programs.engines.fake import fake_lm
from modplural.programs.overton import Overton

from .conftest import situations


def saying(text: str) -> Vanilla:
    return Vanilla(fake_lm({"": text}, name=text.lower()))


def failing() -> Vanilla:
    def reply(request: Request) -> str:
        raise RuntimeError("no answer today")

    return Vanilla(fake_lm(reply, name="failing"))


def test_programs_of_several_chains_answer_at_the_same_time(bench: Bench) -> None:
    meeting = threading.Barrier(2, timeout=30)

    def reply(request: Request) -> str:
        meeting.wait()
        return "Kindness."

    asked = [Asked(Vanilla(fake_lm(reply, name=name)), situations(1)) for name in ("one", "other")]
    bench.answer_all([[one] for one in asked])
    assert [[row.score for row in one.answers()] for one in asked] == [[1 / 3], [1 / 3]]


def test_each_example_is_asked_of_a_chain_in_order(bench: Bench) -> None:
    heard: list[tuple[str, str]] = []

    @contextmanager
    def noted(name: str, example: dspy.Example) -> Iterator[None]:
        yield
        heard.append((name, example.query))

    chain = [Asked(saying(name), situations(6), partial(noted, name)) for name in ("Luck", "Justice")]
    bench.answer_all([chain])
    assert len(heard) == 12
    for example in chain[0].examples:
        assert [name for name, query in heard if query == example.query] == ["Luck", "Justice"]
    assert [row.prediction.response for row in chain[1].answers()] == ["Justice"] * 6


def test_who_is_asked_because_of_answers_does_not_wait_for_others(bench: Bench) -> None:
    asked_further = threading.Event()

    def patient(request: Request) -> str:
        assert asked_further.wait(30)
        return "Kindness."

    def prompt(request: Request) -> str:
        asked_further.set()
        return "Luck"

    first, slow = Asked(saying("Justice"), situations(2)), Asked(Vanilla(fake_lm(patient)), situations(2))
    further = Asked(Vanilla(fake_lm(prompt, name="prompt")), situations(2))
    chains = [[first], [slow]]
    bench.answer_all(chains, lambda chain: [[further]] if chain is chains[0] and first.rows else [])
    assert [len(asked.answers()) for asked in (first, slow, further)] == [2, 2, 2]


def test_a_program_that_fails_on_everything_fails_alone(bench: Bench) -> None:
    good, bad = Asked(saying("Luck"), situations(3)), Asked(failing(), situations(3))
    bench.answer_all([[bad, good]])
    assert [row.score for row in good.answers()] == [1 / 3] * 3
    with pytest.raises(RunError, match=r"Vanilla failed on all 3 records, the last with: .*no answer today"):
        bad.answers()
    assert (bench.answered, bench.failed) == (3, 3)


def test_what_ends_a_program_leaves_the_others_alone_and_asks_it_no_more(bench: Bench) -> None:
    calls: list[str] = []

    def over(example: dspy.Example) -> AbstractContextManager[None]:
        calls.append(example.query)
        raise BudgetSpent

    ended, other = Asked(saying("Luck"), situations(20), over), Asked(saying("Justice"), situations(20))
    bench.answer_all([[ended], [other]])
    assert len(other.answers()) == 20
    assert len(calls) <= bench.threads
    with pytest.raises(BudgetSpent):
        ended.answers()


def test_no_more_rows_are_under_way_than_threads(bench: Bench) -> None:
    under_way, most, lock = 0, 0, threading.Lock()

    @contextmanager
    def counted(example: dspy.Example) -> Iterator[None]:
        nonlocal under_way, most
        with lock:
            under_way += 1
            most = max(most, under_way)
        yield
        with lock:
            under_way -= 1

    bench.answer_all([[Asked(saying(name), situations(20), counted)] for name in ("Luck", "Justice", "Care")])
    assert 1 <= most <= bench.threads


@pytest.mark.usefixtures("dspy_cache")
def test_programs_of_a_chain_share_the_messages(bench: Bench, overton: Overton) -> None:
    for community in overton.pool:
        community.lm.cache = True
    other = overton.deepcopy()
    other.synthesis.value = "extractive"
    bench.answer_all([[Asked(program, situations(20)) for program in (overton, other)]])
    assert [len(community.lm.engine.prompts) for community in overton.pool] == [20] * len(overton.pool)
