"""The pool: its order and names, asking everybody at once, telling messages as they come, and what failures lead to."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from typing import Any

import dspy
import pytest

from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm
from modplural.programs.errors import CommunityError, EmptyPoolError, UnknownCommunityError
from modplural.programs.messages import Message
from modplural.programs.pool import CommunityPool, FailurePolicy, listening

Ask = Callable[..., Awaitable[Any]]


@pytest.fixture(params=["sync", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    async def asked(pool: CommunityPool, *args: Any, **kwargs: Any) -> Any:
        return pool(*args, **kwargs) if request.param == "sync" else await pool.acall(*args, **kwargs)

    return asked


def community(name: str, reply: str | Exception = "", delay: float = 0.0) -> CommunityLM:
    lm = fake_lm({"": reply or f"{name} says so"}, name=name, delays={"": delay}, num_retries=0)
    return CommunityLM(name, lm)


def pool_of(*names: str) -> CommunityPool:
    return CommunityPool(community(name) for name in names)


async def test_everybody_is_asked_and_answers_in_order(ask: Ask) -> None:
    pool = CommunityPool([community("care", delay=0.3), community("fairness", delay=0.2), community("liberty")])
    start = time.monotonic()
    found = await ask(pool, "Is it right?")
    assert time.monotonic() - start < 0.9
    assert found.messages == (
        Message("care", "care says so"),
        Message("fairness", "fairness says so"),
        Message("liberty", "liberty says so"),
    )
    assert found.failures == {}


async def test_messages_are_told_as_they_arrive(ask: Ask) -> None:
    pool = CommunityPool([community("care", delay=0.2), community("liberty")])
    told: list[Message] = []
    with listening(told.append):
        await ask(pool, "Is it right?")
    assert told == [Message("liberty", "liberty says so"), Message("care", "care says so")]
    await ask(pool, "Is it right?")
    assert len(told) == 2


async def test_listeners_of_concurrent_tasks_do_not_mix() -> None:
    async def listen(name: str) -> list[Message]:
        told: list[Message] = []
        with listening(told.append):
            await CommunityPool([community(name, delay=0.05)]).acall("Is it right?")
        return told

    first, second = await asyncio.gather(listen("care"), listen("liberty"))
    assert (first, second) == ([Message("care", "care says so")], [Message("liberty", "liberty says so")])


async def test_some_of_the_communities_can_be_asked(ask: Ask) -> None:
    pool = pool_of("care", "liberty")
    assert (await ask(pool, "Is it right?", only=["liberty"])).messages == (Message("liberty", "liberty says so"),)
    assert not pool["care"].lm.engine.requests


async def test_by_default_a_failure_ends_it_all_and_is_named(ask: Ask) -> None:
    pool = CommunityPool([community("care"), community("liberty", ValueError("the server is down"))])
    with pytest.raises(CommunityError, match=r"no message from liberty \(.*the server is down\); FailurePolicy"):
        await ask(pool, "Is it right?")


async def test_going_on_without_a_failed_community_records_why(ask: Ask) -> None:
    pool = CommunityPool(
        [community("care", ValueError("it broke")), community("liberty"), community("elders", "\u200b")]
    )
    found = await ask(pool, "Is it right?", FailurePolicy("continue"))
    assert found.messages == (Message("liberty", "liberty says so"),)
    assert list(found.failures) == ["care", "elders"]
    assert "it broke" in found.failures["care"]
    assert "nothing in it that can be seen" in found.failures["elders"]


async def test_too_few_communities_end_it_all(ask: Ask) -> None:
    pool = CommunityPool([community("care", ValueError("it broke")), community("liberty")])
    with pytest.raises(
        CommunityError, match=r"1 of at least 2 communities have a message; none from care \(.*it broke"
    ):
        await ask(pool, "Is it right?", FailurePolicy("continue", at_least=2))
    small = CommunityPool([community("liberty")])
    with pytest.raises(
        CommunityError, match="1 of at least 2 communities have a message, and there are no others to ask"
    ):
        await ask(small, "Is it right?", FailurePolicy("continue", at_least=2))


def test_a_community_without_which_nothing_would_count_stays() -> None:
    pool = CommunityPool([community("care"), community("liberty")])
    pool.weights.update({"care": 0.0})
    with pytest.raises(ValueError, match=r"all weights are zero \(\['care'\]\), so nothing would count"):
        pool.remove("liberty")
    assert [one.name for one in pool] == ["care", "liberty"] == list(pool.weights)


async def test_a_community_that_takes_too_long_has_failed(ask: Ask) -> None:
    pool = CommunityPool([community("care", delay=5.0), community("liberty")])
    start = time.monotonic()
    found = await ask(pool, "Is it right?", FailurePolicy("continue", timeout=0.2))
    assert time.monotonic() - start < 2.0
    assert found.failures == {"care": "TimeoutError: fake/care did not answer within 0.2 s"}


async def test_the_longest_patience_can_be_waited_for(ask: Ask) -> None:
    policy = FailurePolicy("continue", timeout=threading.TIMEOUT_MAX)
    assert len((await ask(pool_of("care", "liberty"), "Is it right?", policy)).messages) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"action": "ignore"}, "action is 'ignore'; it is 'raise' or 'continue'"),
        ({"at_least": 0}, "at_least is 0"),
        ({"timeout": 0}, "timeout is 0"),
        ({"timeout": -1.0}, "timeout is -1.0"),
        ({"at_least": True}, "at_least is True"),
        ({"timeout": float("nan")}, "timeout is nan"),
        ({"timeout": float("inf")}, "timeout is inf; .* or None for no limit"),
        ({"timeout": 1e10}, "timeout is 10000000000.0; it is a number of seconds above zero and up to"),
        ({"timeout": 10**5000}, "timeout is a whole number of more than 18 digits"),
        ({"timeout": "3"}, "timeout is '3'"),
        ({"timeout": True}, "timeout is True"),
    ],
)
def test_a_policy_that_makes_no_sense_is_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FailurePolicy(**arguments)


def test_a_pool_is_ordered_and_known_by_names() -> None:
    pool = pool_of("care", "liberty")
    pool.add(community("elders"), weight=2.0)
    assert [member.name for member in pool] == ["care", "liberty", "elders"]
    assert (len(pool), "elders" in pool, "youth" in pool) == (3, True, False)
    assert pool["elders"].name == "elders"
    assert dict(pool.weights) == {"care": 1.0, "liberty": 1.0, "elders": 2.0}
    assert pool.remove("care").name == "care"
    assert [member.name for member in pool] == list(pool.weights) == ["liberty", "elders"]


def test_a_replacement_takes_place_and_weight() -> None:
    pool = pool_of("care", "liberty")
    pool.weights.update({"care": 3.0})
    same, other = community("care"), community("kindness")
    pool.replace("care", same)
    assert pool["care"] is same
    pool.replace("care", other)
    assert list(pool) == [other, pool["liberty"]]
    assert list(pool.weights.items()) == [("kindness", 3.0), ("liberty", 1.0)]
    with pytest.raises(ValueError, match="has a community 'liberty' already"):
        pool.replace("kindness", community("liberty"))
    assert "kindness" in pool


def test_duplicate_unknown_and_missing_communities_are_refused() -> None:
    pool = pool_of("care", "liberty")
    with pytest.raises(ValueError, match="has a community 'care' already"):
        pool.add(community("care"))
    with pytest.raises(ValueError, match="the weight of 'elders' is -1"):
        pool.add(community("elders"), weight=-1)
    assert list(pool.communities) == list(pool.weights) == ["care", "liberty"]
    for act in (pool.__getitem__, pool.remove, lambda name: pool.replace(name, community("youth"))):
        with pytest.raises(UnknownCommunityError, match="there is no community 'elders'; the pool has care, liberty"):
            act("elders")
    with pytest.raises(EmptyPoolError, match="the pool has no community to ask; add one"):
        CommunityPool()("Is it right?")


def test_parameters_have_readable_stable_names() -> None:
    names = ["communities['care'].comment", "communities['liberty'].comment", "weights"]
    pool = pool_of("care", "liberty")
    assert [name for name, _ in pool.named_parameters()] == names
    assert [name for name, _ in pool.reset_copy().named_parameters()] == names


def test_an_optimizer_can_set_a_predictor_by_its_name() -> None:
    pool = pool_of("care", "news-left")
    pool.map_named_predictors(lambda predictor: dspy.Predict(predictor.signature.with_instructions("Be brief.")))
    assert pool["news-left"].comment.signature.instructions == "Be brief."


def test_one_lm_for_all_communities_is_refused() -> None:
    pool = pool_of("care", "liberty")
    with pytest.raises(ValueError, match=r"every community has its own.*pool\[name\]\.set_lm"):
        pool.set_lm(fake_lm())
    assert all(member.comment.lm is None for member in pool)


def test_further_samples_of_a_pool_are_drawn_from_its_own_lms() -> None:
    pool = pool_of("care", "liberty")
    with dspy.context(lm=fake_lm(), trace=[]):
        dspy.BestOfN(pool, N=2, reward_fn=lambda arguments, prediction: 0.0, threshold=1.0)(query="Is it right?")
    assert [len(member.lm.engine.requests) for member in pool] == [2, 2]
