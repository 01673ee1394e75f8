"""DSPy's own ways of using a program hold with ours: every mode and baseline works in them, through the LMs it has.

Every LM is scripted to say whose it is, so that an answer through another one is seen; an LM that DSPy is configured
with must never be asked by a program.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import dspy
import pytest
from dspy.streaming import StatusMessage, StatusMessageProvider, StreamListener, StreamResponse
from dspy.utils.callback import BaseCallback

from modplural import (
    CommunityLM,
    CommunityPool,
    Distributional,
    MixtureOfExperts,
    Overton,
    Prompted,
    Steerable,
    Vanilla,
)
from modplural.programs.engines.fake import fake_lm
from modplural.programs.program import Program

NAMES = ("care", "liberty")
QUESTION = {"query": "May I read her diary?"}
CHOICE = {**QUESTION, "options": ["Yes", "No"]}

ASKED: dict[str, dict[str, Any]] = {
    "overton": QUESTION,
    "overton per message": QUESTION,
    "steerable": {**QUESTION, "attribute": "care"},
    "steerable choice": {**CHOICE, "attribute": "care"},
    "distributional": CHOICE,
    "vanilla": QUESTION,
    "prompted choice": CHOICE,
    "mixture of experts": QUESTION,
}
"""What each program of `make` is asked."""


def make(name: str) -> Program:
    """A program whose LMs say whose they are."""

    def lm(name: str) -> dspy.LM:
        return fake_lm({"": f"{name} speaks."}, lambda prompt, continuation: -1.0 - len(continuation), name=name)

    base, pool = lm("base"), CommunityPool(CommunityLM(name, lm(name), persona=f"You are {name}.") for name in NAMES)
    makers: dict[str, Callable[[], Program]] = {
        "overton": lambda: Overton(base, pool),
        "overton per message": lambda: Overton(base, pool, strategy="per_message"),
        "steerable": lambda: Steerable(base, pool),
        "steerable choice": lambda: Steerable(base, pool),
        "distributional": lambda: Distributional(base, pool),
        "vanilla": lambda: Vanilla(base),
        "prompted choice": lambda: Prompted(base),
        "mixture of experts": lambda: MixtureOfExperts(base, pool),
    }
    return makers[name]()


@pytest.fixture(params=list(ASKED))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def program(name: str) -> Program:
    return make(name)


@pytest.fixture
def asked(name: str) -> dict[str, Any]:
    return ASKED[name]


@pytest.fixture
def example(asked: dict[str, Any]) -> dspy.Example:
    return dspy.Example(**asked).with_inputs(*asked)


def lms(program: Program) -> dict[str, dspy.LM]:
    """The LMs of a program, by where they stand."""
    return dict(program.named_sub_modules(dspy.BaseLM))


def counts(program: Program) -> dict[str, int]:
    return {place: len(lm.engine.requests) for place, lm in lms(program).items()}


def same(one: dspy.Prediction, other: dspy.Prediction) -> bool:
    return bool(one.toDict() == other.toDict())


@contextmanager
def ambient() -> Iterator[dspy.LM]:
    """Within this block DSPy is configured with an LM that no program may ask."""
    lm = fake_lm({"": "The ambient LM speaks."}, lambda prompt, continuation: -1.0, name="ambient")
    with dspy.context(lm=lm):
        yield lm
    assert not lm.engine.requests


def test_the_lm_of_a_context_is_not_asked(program: Program, asked: dict[str, Any]) -> None:
    plain = program(**asked)
    with ambient():
        assert same(program(**asked), plain)


def test_evaluate(program: Program, example: dspy.Example) -> None:
    plain = program(**example.inputs())
    evaluate = dspy.Evaluate(
        devset=[example] * 6, metric=lambda _, found: same(found, plain), num_threads=3, display_progress=False
    )
    with ambient():
        result = evaluate(program)
    assert result.score == 100
    assert len(result.results) == 6


def test_parallel_and_batch(program: Program, example: dspy.Example) -> None:
    plain = program(**example.inputs())
    parallel = dspy.Parallel(num_threads=3, disable_progress_bar=True)
    with ambient():
        answers = parallel([(program, example)] * 4)
        answers += program.batch([example] * 4, num_threads=3, disable_progress_bar=True)
    assert len(answers) == 8
    assert all(same(answer, plain) for answer in answers)


def test_best_of_n_draws_from_every_lm_anew(program: Program, asked: dict[str, Any]) -> None:
    program(**asked)
    once, bound = counts(program), lms(program)
    best = dspy.BestOfN(program, N=3, reward_fn=lambda arguments, found: 0.0, threshold=1.0)
    with ambient():
        best(**asked)
    assert counts(program) == {place: 4 * count for place, count in once.items()}
    assert all(lm is bound[place] for place, lm in lms(program).items())


def refined(program: Program, asked: dict[str, Any], advice: dict[str, str]) -> tuple[dspy.Prediction, dspy.LM]:
    """What `dspy.Refine` makes of a program that is good enough at the second try, and the LM that advised."""
    rewards = iter([0.0, 1.0])

    def reward(arguments: dict[str, Any], found: dspy.Prediction) -> float:
        return next(rewards)

    said = {"discussion": "Too short.", "advice": json.dumps(advice)}
    text = "\n\n".join(f"[[ ## {field} ## ]]\n{value}" for field, value in said.items()) + "\n\n[[ ## completed ## ]]"
    adviser = fake_lm({"": text}, name="adviser")
    refine = dspy.Refine(program, N=3, reward_fn=reward, threshold=1.0)
    with dspy.context(lm=adviser):
        return refine(**asked), adviser


def test_refine_draws_anew_until_it_is_good_enough(program: Program, asked: dict[str, Any]) -> None:
    program(**asked)
    once, bound = counts(program), lms(program)
    found, adviser = refined(program, asked, {})
    assert len(adviser.engine.requests) == 1, "the advice is asked of DSPy's LM, and nothing else is"
    assert counts(program) == {place: 3 * count for place, count in once.items()}
    assert same(found, program(**asked))
    assert all(lm is bound[place] for place, lm in lms(program).items())


def test_refine_gives_its_advice_to_those_that_it_blames(program: Program, asked: dict[str, Any]) -> None:
    before = {place: len(lm.engine.prompts) for place, lm in lms(program).items()}
    program(**asked)
    blamed = {name: f"Mind {name}." for name, _ in program.named_predictors()}
    refined(program, asked, blamed)
    prompts = [prompt for place, lm in lms(program).items() for prompt in lm.engine.prompts[before[place] :]]
    hinted = [prompt for prompt in prompts if "Hint" in prompt]
    assert hinted
    shown = [prompt for prompt in prompts if "What is this about?" not in prompt]  # which compares, and has no inputs
    assert len(hinted) * 3 == len(shown), "one of the three answers was advised, in all of its prompts"
    assert all("Mind " in prompt for prompt in hinted)


def test_who_is_not_blamed_hears_nothing(program: Program, asked: dict[str, Any]) -> None:
    refined(program, asked, {name: "N/A" for name, _ in program.named_predictors()})
    assert not any("Hint" in prompt for lm in lms(program).values() for prompt in lm.engine.prompts)


class Status(StatusMessageProvider):
    def module_start_status_message(self, instance: Any, inputs: Any) -> str:
        return type(instance).__name__

    def lm_start_status_message(self, instance: Any, inputs: Any) -> str:
        return f"asking {instance.model}"


@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
async def test_streamify_ends_with_the_prediction(program: Program, asked: dict[str, Any], is_async: bool) -> None:
    plain = program(**asked)
    stream = dspy.streamify(program, status_message_provider=Status(), is_async_program=is_async)
    with ambient():
        parts = [part async for part in stream(**asked)]
    assert same(parts[-1], plain)
    assert all(isinstance(part, StatusMessage | dspy.Prediction) or "Chunk" in type(part).__name__ for part in parts)
    told = {part.message for part in parts if isinstance(part, StatusMessage)}
    assert type(program).__name__ in told
    if is_async and "response" in plain:
        assert "asking fake/base" in told


async def test_the_response_of_a_mode_is_streamed_by_a_listener() -> None:
    program = make("overton")
    listener = StreamListener(signature_field_name="response", predict=program.synthesize, predict_name="synthesize")
    stream = dspy.streamify(program, stream_listeners=[listener], is_async_program=True)
    parts = [part async for part in stream(**QUESTION)]
    assert isinstance(parts[-1], dspy.Prediction)
    chunks = [part for part in parts if isinstance(part, StreamResponse)]
    assert "".join(chunk.chunk for chunk in chunks) in ("", parts[-1].response)


def test_usage_is_tracked_by_lm(program: Program, asked: dict[str, Any]) -> None:
    program(**asked)
    once = sum(counts(program).values())
    with dspy.track_usage() as tracker:
        program(**asked)
    entries = tracker.usage_data
    assert entries.keys() == {lm.model for lm in lms(program).values() if lm.engine.requests}
    assert sum(map(len, entries.values())) == once
    with dspy.context(track_usage=True):
        usage = program(**asked).get_lm_usage()
    assert usage.keys() == entries.keys()
    assert all(total["total_tokens"] > 0 for total in usage.values())


class Heard(BaseCallback):
    def __init__(self) -> None:
        self.modules: list[str] = []
        self.lms: list[str] = []
        self.ended: list[BaseException | None] = []

    def on_module_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.modules.append(type(instance).__name__)

    def on_lm_start(self, call_id: str, instance: Any, inputs: dict[str, Any]) -> None:
        self.lms.append(instance.model)

    def on_module_end(self, call_id: str, outputs: Any, exception: BaseException | None = None) -> None:
        self.ended.append(exception)


@pytest.mark.parametrize("where", ["context", "program"])
async def test_callbacks_hear_every_part(program: Program, asked: dict[str, Any], where: str) -> None:
    heard = Heard()
    if where == "program":
        program.callbacks = [heard]
        program(**asked)
        await program.acall(**asked)
        assert heard.modules == [type(program).__name__] * 2
        return
    with dspy.context(callbacks=[heard]):
        program(**asked)
    called, asked_lms = sorted(heard.modules), sorted(heard.lms)
    assert called.count(type(program).__name__) == 1
    assert len(called) > 1
    assert heard.ended == [None] * len(called)
    assert set(asked_lms) == {lm.model for lm in lms(program).values() if lm.engine.requests}
    with dspy.context(callbacks=[heard]):
        await program.acall(**asked)
    assert sorted(heard.modules) == sorted(called * 2)
    assert sorted(heard.lms) == sorted(asked_lms * 2)


async def test_asyncify_and_acall(program: Program, asked: dict[str, Any]) -> None:
    import asyncio

    plain = program(**asked)
    with ambient():
        answers = await asyncio.gather(
            *(program.acall(**asked) for _ in range(4)), *(dspy.asyncify(program)(**asked) for _ in range(4))
        )
    assert all(same(answer, plain) for answer in answers)


@pytest.mark.parametrize("copy", [dspy.Module.deepcopy, dspy.Module.reset_copy], ids=["deepcopy", "reset_copy"])
def test_copies_share_lms_and_nothing_that_is_learned(program: Program, asked: dict[str, Any], copy: Any) -> None:
    copied, bound = copy(program), lms(program)
    with ambient():
        assert same(copied(**asked), program(**asked))
    assert lms(copied).keys() == bound.keys()
    assert all(lm is bound[place] for place, lm in lms(copied).items())
    for _, predictor in copied.named_predictors():
        predictor.signature = predictor.signature.with_instructions("Changed.")
        predictor.demos.append(dspy.Example(query="q", response="r"))
    assert "Changed." not in str(program.dump_state())
    assert not any(predictor.demos for _, predictor in program.named_predictors())


def test_an_ensemble_asks_every_program(program: Program, asked: dict[str, Any]) -> None:
    together = dspy.Ensemble(reduce_fn=None).compile([program, program.deepcopy()])
    with ambient():
        answers = together(**asked)
    assert all(same(answer, program(**asked)) for answer in answers)
