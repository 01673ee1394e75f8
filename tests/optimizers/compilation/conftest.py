"""A small world in which every strategy can win: LMs that heed better prompts, and metrics that notice.

The base LLM leaves most of what it hears out, unless it is told or shown to say everything. It knows good options from
bad ones, and is too sure of itself.
"""

import json
import math
import re
import zlib
from collections.abc import Callable

import dspy
import pytest
from dspy.lm15 import Request

from modplural.optimizers.compilation import Bench, Budget
from modplural.optimizers.compilation.feedback import feedback_for
from modplural.optimizers.metrics import TaskMetric, mean_figure, metric_for
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool
from modplural.programs.program import Program
from modplural.programs.steerable import Steerable

WORDS = {"care": "Kindness", "fairness": "Justice", "chance": "Luck"}
SAYINGS = {name: f"{word} decides what people deserve in moments like these." for name, word in WORDS.items()}
EVERYTHING = "Kindness, Justice and Luck all have a say."


def said(example: dspy.Example, prediction: dspy.Prediction) -> float:
    """Share of the communities' words that a response has."""
    return sum(word in prediction.response for word in WORDS.values()) / len(WORDS)


SAID = TaskMetric(
    "overton-vk",
    "said",
    said,
    lambda answered, rows, groups: {"said": mean_figure("said", rows, groups)},
    lambda score: score > 0,
    group="situation",
)


def synthesized(request: Request) -> str:
    """Says everything where the prompt asks for it in the right words or shows how; else at most a third."""
    prompt = prompt_text(request)
    if "no message out" in prompt or "Say everything" in prompt or len(request.messages) > 1:
        return EVERYTHING
    return "Kindness first." if zlib.crc32(prompt.encode()) % 2 else "It depends."


def proposed(request: Request) -> str:
    """What a capable prompt LM would write, in whatever form it is asked for."""
    prompt = prompt_text(request)
    if "JSON object" in prompt:
        return json.dumps({"new_instruction": "Say everything that was said."})
    fields = re.findall(r"\[\[ ## (\w+) ## \]\]", prompt.split("Respond with")[-1])
    text = f"Say everything that was said, number {zlib.crc32(prompt.encode()) % 9}."
    return "\n".join(f"[[ ## {field} ## ]]\n{text}" for field in fields) or text


def likelihood(prompt: str, continuation: str) -> float:
    """Knows by "yes" and "no" which option is good, is misled by its words, and trusts fairness more than others."""
    answer = continuation.strip()
    if answer in ("Yes", "No", "Good", "Bad", "True", "False"):
        good = "GOOD" in prompt
        sure = 0.999 if "Justice" in prompt else 0.4 if "Luck" in prompt else 0.9
        return math.log(sure if (answer in ("Yes", "Good", "True")) == good else 1 - sure)
    return math.log(0.2 if "GOOD" in answer else 0.5) if len(answer) > 1 else math.log(0.3)


@pytest.fixture
def pool() -> CommunityPool:
    return CommunityPool(
        CommunityLM(name, fake_lm({"": saying}, name=name), persona=f"You speak for {name}.")
        for name, saying in SAYINGS.items()
    )


@pytest.fixture
def overton(pool: CommunityPool) -> Overton:
    return Overton(fake_lm(synthesized, name="base"), pool)


@pytest.fixture
def distributional(pool: CommunityPool) -> Distributional:
    return Distributional(fake_lm({"": "GOOD"}, likelihood, name="base"), pool)


@pytest.fixture
def steerable(pool: CommunityPool) -> Steerable:
    return Steerable(fake_lm({"": "GOOD"}, likelihood, name="base"), pool)


@pytest.fixture
def prompt_lm() -> dspy.LM:
    return fake_lm(proposed, name="prompt")


def situations(count: int) -> list[dspy.Example]:
    return [
        dspy.Example(query=f"May one do thing {number}?", situation=str(number)).with_inputs("query")
        for number in range(count)
    ]


def dilemmas(count: int, share: float) -> list[dspy.Example]:
    """Choices between a good deed and a bad one, where so large a share of people prefer the good one."""
    found = []
    for number in range(count):
        options = [f"A GOOD deed {number}", f"A bad deed {number}"]
        gold = dict(zip(options, (share, 1 - share), strict=True))
        example = dspy.Example(query=f"What now, {number}?", options=options, gold_distribution=gold)
        found.append(example.with_inputs("query", "options"))
    return found


MakeBench = Callable[..., Bench]


@pytest.fixture
def bench() -> Bench:
    return Bench(SAID, feedback_for(SAID, None), threads=4)


@pytest.fixture
def make_bench() -> MakeBench:
    """Makes a bench with other things on it."""

    def make(metric: TaskMetric = SAID, *, max_calls: int | None = None, **settings: object) -> Bench:
        found = Bench(metric, feedback_for(metric, None), threads=4, budget=Budget("light", max_calls), **settings)  # type: ignore[arg-type]
        found.ledger.limit = max_calls
        return found

    return make


@pytest.fixture
def distance() -> TaskMetric:
    return metric_for("distributional-moralchoice")


def bindings(program: Program) -> dict[str, int]:
    """Which LM stands where, by identity."""
    return {name: id(lm) for name, lm in program.named_sub_modules(dspy.BaseLM)}
