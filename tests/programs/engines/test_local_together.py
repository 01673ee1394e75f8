"""Many requests at once: they share batches, and nobody's answer depends on who else is there."""

import asyncio
import shutil
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import dspy
import pytest
import torch
from dspy.lm15 import Config, Message, Request, Response
from dspy.utils.exceptions import ContextWindowExceededError, LMUnsupportedModelError

from modplural.programs.engines.local import LocalEngine, local_lm
from modplural.programs.engines.scoring import ScoreItem, Turn, read_scores, score_request

ADAPTERS = (None, "care", "fairness", "liberty")
QUESTIONS = ("Is it right?", "What is fair to the others, and what do they say?", "Why?", "Say what the user says.")

MakeLM = Callable[..., dspy.LM]


class Asked(NamedTuple):
    lm: dspy.LM
    request: Request


def sixty_four(make: MakeLM) -> list[Asked]:
    """Every adapter with every question, greedy and sampled three ways, of several lengths."""
    lms = [make(adapter) for adapter in ADAPTERS]
    settings = (
        {"temperature": 0.0, "logprobs": 2},
        {"temperature": 1.0, "seed": 7},
        {"temperature": 0.8, "seed": 8, "top_p": 0.9},
        {"temperature": 1.5, "seed": 9, "top_k": 20},
    )
    asked = []
    for index, question in enumerate(QUESTIONS):
        for number, setting in enumerate(settings):
            config = Config(max_tokens=8 + 5 * ((index + number) % 4), **setting)
            for lm in lms:
                asked.append(Asked(lm, Request(model=lm.model, messages=(Message.user(question),), config=config)))
    return asked


def said(response: Response) -> tuple[object, ...]:
    tokens = tuple(entry.token_id for entry in response.logprobs or ())
    return response.message.text, response.finish_reason, response.usage.output_tokens, tokens


async def ask_all(asked: Sequence[Asked]) -> list[Response]:
    return await asyncio.gather(*(lm.acall(request) for lm, request in asked))


def test_sixty_four_requests_from_sixteen_threads_equal_their_solo_runs(tiny_lm: MakeLM, passes: list[int]) -> None:
    asked = sixty_four(tiny_lm)
    solo = [said(lm(request)) for lm, request in asked]
    alone = len(passes)
    passes.clear()

    with ThreadPoolExecutor(16) as pool:
        together = [said(response) for response in pool.map(lambda one: one.lm(one.request), asked)]

    assert together == solo
    assert len(passes) < alone / 4
    assert max(passes) > 8
    assert len({solo[index] for index in range(len(ADAPTERS))}) == len(ADAPTERS)


async def test_the_same_under_asyncio(tiny_lm: MakeLM, passes: list[int]) -> None:
    asked = sixty_four(tiny_lm)
    solo = [said(await lm.acall(request)) for lm, request in asked]
    alone = len(passes)
    passes.clear()

    together = [said(response) for response in await ask_all(asked)]

    assert together == solo
    assert len(passes) < alone / 4


def test_likelihoods_of_many_requests_at_once_equal_their_solo_runs(tiny_lm: MakeLM, passes: list[int]) -> None:
    lms = [tiny_lm(adapter) for adapter in ADAPTERS]
    asked = [
        Asked(lm, score_request(lm.model, [ScoreItem((Turn("user", question * length),), ("right", " fair", "no"))]))
        for lm in lms
        for question in QUESTIONS
        for length in (1, 3)
    ]
    solo = [read_scores(lm(request)) for lm, request in asked]
    alone = len(passes)
    passes.clear()

    with ThreadPoolExecutor(16) as pool:
        together = [read_scores(response) for response in pool.map(lambda one: one.lm(one.request), asked)]

    for [ours], [single] in zip(together, solo, strict=True):
        assert [score.logprob for score in ours] == pytest.approx([score.logprob for score in single], abs=1e-4)
        assert [score.tokens for score in ours] == [score.tokens for score in single]
    assert len(passes) < alone / 2


def test_requests_that_cannot_be_served_fail_alone(tiny_lm: MakeLM, tiny_model: Path, misfit: Path) -> None:
    asked = sixty_four(tiny_lm)[:16]
    solo = [said(lm(request)) for lm, request in asked]
    long = tiny_lm()
    wrong = local_lm(f"local/{tiny_model}", adapter=str(misfit), device="cpu", dtype="float32", cache=False)

    def answer(one: Asked) -> object:
        try:
            return said(one.lm(one.request))
        except (ContextWindowExceededError, LMUnsupportedModelError) as error:
            return type(error)

    broken = [
        Asked(long, Request(model=long.model, messages=(Message.user("too long " * 200),))),
        Asked(wrong, Request(model=wrong.model, messages=(Message.user("Is it right?"),))),
    ]
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(answer, [broken[0], *asked[:8], broken[1], *asked[8:]]))

    assert [answers.pop(9), answers.pop(0)] == [LMUnsupportedModelError, ContextWindowExceededError]
    assert answers == solo


def test_an_adapter_that_was_trained_again_never_answers_under_its_former_name(
    tiny_lm: MakeLM, tiny_model: Path, tiny_adapters: dict[str, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "moving"

    def moving(to: str | None = None) -> dspy.LM:
        if to is not None:
            shutil.copytree(tiny_adapters[to], folder, dirs_exist_ok=True)
        return local_lm(f"local/{tiny_model}", adapter=str(folder), device="cpu", dtype="float32", cache=False)

    care, liberty = (tiny_lm(name)("Is it right?") for name in ("care", "liberty"))
    loaded, same, unread = moving("care"), moving(), moving("fairness")
    moving("care")
    assert loaded("Is it right?") == care
    moving("liberty")
    assert loaded("Is it right?") == same("Is it right?") == care  # what is loaded stays what it was
    with pytest.raises(LMUnsupportedModelError, match=r"moving has changed since this LM was made.*; make the LM anew"):
        unread("Is it right?")
    with pytest.raises(LMUnsupportedModelError, match="has changed since this LM was made"):
        unread(score_request(unread.model, [ScoreItem((Turn("user", "Is it right?"),), ("yes", "no"))]))
    assert moving()("Is it right?") == liberty


def test_a_device_that_is_chosen_or_named_is_the_same(tiny_model: Path) -> None:
    chosen = "cuda" if torch.cuda.device_count() else "cpu"
    engines = [LocalEngine(f"local/{tiny_model}", device=device) for device in (None, chosen, f"{chosen}:0")]
    assert len({id(engine._lease) for engine in engines}) == 1
    assert LocalEngine(f"local/{tiny_model}", device=chosen, dtype="bfloat16")._lease is not engines[0]._lease
