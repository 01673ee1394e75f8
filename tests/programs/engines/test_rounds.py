"""What runs next: admission, fair turns, failures that stay where they belong; time is counted in forward passes."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch

from modplural.programs.engines import rounds as module
from modplural.programs.engines.backbone import Backbone
from modplural.programs.engines.generation import GenerationSpec
from modplural.programs.engines.likelihood import TokenItem
from modplural.programs.engines.lora import AdapterError
from modplural.programs.engines.rounds import GenerateJob, Limits, Rounds, ScoreJob, default_limits
from modplural.programs.engines.sampling import Sampling

LIMITS = Limits(rows=8, forward_tokens=64, cache_cells=10**6)


@pytest.fixture(autouse=True)
def inference() -> Any:
    with torch.inference_mode():
        yield


@pytest.fixture
def clock(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Makes every forward pass take a second; the rows of each pass."""
    passes: list[int] = []
    forward = Backbone._forward

    def counted(self: Backbone, ids: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        passes.append(ids.shape[0])
        return forward(self, ids, *args, **kwargs)

    monkeypatch.setattr(Backbone, "_forward", counted)
    monkeypatch.setattr(module.time, "monotonic", lambda: len(passes))
    return passes


def generate(tokens: int, prompt: int = 3, adapter: str | None = None) -> GenerateJob:
    spec = GenerationSpec(tuple(range(10, 10 + prompt)), adapter, tokens, Sampling())
    return GenerateJob(spec, None if adapter is None else Path(adapter))


def score(start: int = 10, items: int = 1, size: int = 20) -> ScoreJob:
    """Likelihoods after prompts that share nothing, so that each of them is a tree."""
    prompts = [tuple((start + item + 3 * index) % 250 + 10 for index in range(size)) for item in range(items)]
    return ScoreJob([TokenItem(prompt, ((5,), (6,))) for prompt in prompts], None, None)


def run(rounds: Rounds, until: Callable[[], bool] = lambda: False) -> int:
    """Run until something holds or nothing is left; the number of rounds."""
    count = 0
    while rounds.busy and not until():
        rounds.run()
        count += 1
    return count


def test_a_likelihood_does_not_wait_for_a_long_generation(backbone: Backbone) -> None:
    rounds, long, asked = Rounds(backbone, LIMITS), generate(200), score()
    rounds.take(long)
    run(rounds, until=lambda: len(rounds._generations.rows) == 1)
    rounds.take(asked)
    assert run(rounds, until=asked.future.done) == 1
    assert not long.future.done()


def test_a_generation_does_not_wait_for_many_likelihoods(backbone: Backbone, clock: list[int]) -> None:
    rounds, asked, short = Rounds(backbone, LIMITS), score(items=40, size=40), generate(10)
    rounds.take(asked)
    rounds.run()
    rounds.take(short)
    start = len(clock)
    assert run(rounds, until=short.future.done) == 9  # the first token comes with the prompt
    assert len(clock) - start <= 2 * 10 + 1
    assert not asked.future.done()
    run(rounds)
    assert len(asked.future.result().scores) == 40


def test_generation_and_likelihoods_share_the_time_evenly(backbone: Backbone, clock: list[int]) -> None:
    rounds, long, asked = Rounds(backbone, LIMITS), generate(40), score(items=100, size=40)
    rounds.take(long)
    rounds.take(asked)
    run(rounds, until=long.future.done)
    assert len(clock) == pytest.approx(2 * 40, abs=2)
    assert not asked.future.done()


def test_a_new_generation_joins_the_next_round(backbone: Backbone) -> None:
    rounds, long, short = Rounds(backbone, LIMITS), generate(200), generate(2)
    rounds.take(long)
    run(rounds, until=lambda: len(rounds._generations.rows) == 1)
    rounds.take(short)
    rounds.run()
    assert short.future.done()
    assert not long.future.done()


def test_generations_join_in_order_as_far_as_rows_prompts_and_cells_allow(backbone: Backbone, clock: list[int]) -> None:
    rounds = Rounds(backbone, Limits(rows=3, forward_tokens=40, cache_cells=200))
    jobs = [generate(4, 15), generate(4, 15), generate(4, 15), generate(60, 3), generate(1, 3)]
    for job in jobs:
        rounds.take(job)
    rounds.run()
    assert clock == [2, 2]  # two prompts of fifteen tokens, one step
    rounds.run()
    assert clock[2:] == [1, 3]
    run(rounds)
    assert [job.future.result().used for job in jobs] == [4, 4, 4, 60, 1]
    assert max(clock) == 3


def test_prompts_of_like_length_join_together(backbone: Backbone, clock: list[int]) -> None:
    """Nobody is padded to a prompt that is far longer, and the one that has waited longest always joins."""
    rounds = Rounds(backbone, Limits(rows=8, forward_tokens=2000, cache_cells=10**6))
    jobs = [generate(1, prompt) for prompt in (20, 150, 30, 160, 25)]
    for job in jobs:
        rounds.take(job)
    rounds.run()
    assert clock == [3]
    assert [job.future.done() for job in jobs] == [True, False, True, False, True]
    rounds.run()
    assert clock == [3, 2]


def test_a_full_batch_lets_some_leave_before_others_join(backbone: Backbone, clock: list[int]) -> None:
    rounds = Rounds(backbone, Limits(rows=32, forward_tokens=2000, cache_cells=10**6))
    first = [generate(3), generate(5), *(generate(60) for _ in range(30))]
    later = [generate(1) for _ in range(2)]
    for job in [*first, *later]:
        rounds.take(job)
    run(rounds, until=first[0].future.done)
    clock.clear()
    rounds.run()
    assert clock == [31], "one could join, and is held back"
    rounds.run()
    rounds.run()
    assert clock[1:] == [31, 2, 30]
    assert all(job.future.done() for job in later)


def test_nobody_is_held_back_for_long(backbone: Backbone, clock: list[int]) -> None:
    rounds = Rounds(backbone, Limits(rows=32, forward_tokens=2000, cache_cells=10**6))
    first = [generate(3), *(generate(60) for _ in range(31))]
    later = [generate(9) for _ in range(2)]
    for job in [*first, *later]:
        rounds.take(job)
    run(rounds, until=first[0].future.done)
    clock.clear()
    run(rounds, until=later[0].future.done)
    assert clock.index(1) == 8, "rounds without a prompt"
    run(rounds, until=later[1].future.done)
    assert clock.count(1) == 2
    assert clock[8:].index(1, 1) == 9, "one that waits alone joins when a row has left"


def test_a_prompt_beyond_every_limit_runs_alone(backbone: Backbone) -> None:
    rounds, large = Rounds(backbone, Limits(rows=1, forward_tokens=4, cache_cells=4)), generate(5, 50)
    rounds.take(large)
    run(rounds)
    assert large.future.result().used == 5


def test_trees_of_like_length_share_passes_within_the_limit(backbone: Backbone, clock: list[int]) -> None:
    rounds = Rounds(backbone, LIMITS)
    jobs = [score(start, size=size) for start, size in ((10, 30), (60, 3), (110, 29), (160, 4))]
    for job in jobs:
        rounds.take(job)
    run(rounds)
    assert clock == [2, 2]
    assert all(len(job.future.result().scores[0]) == 2 for job in jobs)


def test_an_adapter_that_cannot_be_loaded_fails_its_request_alone(backbone: Backbone) -> None:
    rounds, good, bad = Rounds(backbone, LIMITS), generate(3), generate(3, adapter="/nowhere")
    rounds.take(good)
    rounds.take(bad)
    run(rounds)
    assert good.future.result().used == 3
    assert isinstance(bad.future.exception(), AdapterError)


@pytest.mark.parametrize(
    ("make", "numbers"),
    [
        (lambda: generate(3), lambda result: result.tokens),
        (score, lambda result: [likelihood.logprob for [row] in [result.scores] for likelihood in row]),
    ],
)
def test_a_batch_that_does_not_fit_in_memory_is_run_in_parts(
    make: Callable[[], Any],
    numbers: Callable[[Any], Sequence[float]],
    backbone: Backbone,
    monkeypatch: pytest.MonkeyPatch,
    clock: list[int],
) -> None:
    expected = numbers(alone(backbone, make))
    rounds, jobs = Rounds(backbone, Limits(rows=8, forward_tokens=10**4, cache_cells=10**6)), [make() for _ in range(5)]
    limit_rows(backbone, monkeypatch, most=2)
    clock.clear()
    for job in jobs:
        rounds.take(job)
    run(rounds)
    assert clock[:5] == [5, 2, 3, 1, 2]
    assert [numbers(job.future.result()) for job in jobs] == [pytest.approx(expected, abs=1e-4)] * 5


def alone(backbone: Backbone, make: Callable[[], Any]) -> Any:
    rounds, job = Rounds(backbone, LIMITS), make()
    rounds.take(job)
    run(rounds)
    return job.future.result()


def limit_rows(backbone: Backbone, monkeypatch: pytest.MonkeyPatch, most: int, steps: bool = False) -> None:
    """Let passes over more than `most` rows run out of memory; steps of a single token only if `steps`."""
    forward = backbone.model.forward

    def limited(input_ids: torch.Tensor, **rest: Any) -> Any:
        rows, tokens = input_ids.shape
        if rows > most and (steps or tokens > 1):
            raise MemoryError("no room")
        return forward(input_ids=input_ids, **rest)

    monkeypatch.setattr(backbone.model, "forward", limited)


def test_a_step_that_fails_fails_those_who_are_in_it_and_nobody_later(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = alone(backbone, lambda: generate(5))
    rounds, first, second = Rounds(backbone, LIMITS), generate(9), generate(9)
    rounds.take(first)
    rounds.take(second)
    rounds.run()
    with monkeypatch.context() as patch:
        limit_rows(backbone, patch, most=0, steps=True)
        rounds.run()
    assert [str(job.future.exception()) for job in (first, second)] == ["no room"] * 2
    assert not rounds.busy
    assert rounds._generations._cache.slots == 0

    later = generate(5)
    rounds.take(later)
    run(rounds)
    assert later.future.result() == expected


def test_an_error_keeps_its_lines_but_no_frame(backbone: Backbone, monkeypatch: pytest.MonkeyPatch) -> None:
    rounds, job = Rounds(backbone, LIMITS), generate(9)
    limit_rows(backbone, monkeypatch, most=0)
    rounds.take(job)
    rounds.run()
    error = job.future.exception()
    assert error is not None
    assert error.__traceback__ is None
    assert re.search(r"In the engine's thread:.* in prefill\n.*no room", error.__notes__[0], re.DOTALL)


def test_cancelled_requests_leave_whatever_they_are_in(backbone: Backbone, clock: list[int]) -> None:
    expected = alone(backbone, lambda: generate(9))
    rounds = Rounds(backbone, Limits(rows=2, forward_tokens=64, cache_cells=10**6))
    running, other, waiting, asked = generate(9), generate(9), generate(9), score(items=10, size=40)
    for job in (running, other, waiting, asked):
        rounds.take(job)
    rounds.run()
    for job in (running, waiting, asked):
        assert job.future.cancel()
    clock.clear()
    assert run(rounds) == 7
    assert clock == [1] * 7
    assert other.future.result() == expected


def test_what_is_left_is_abandoned_with_the_reason(backbone: Backbone) -> None:
    rounds = Rounds(backbone, Limits(rows=1, forward_tokens=64, cache_cells=10**6))
    running, waiting, asked, cancelled = generate(9), generate(9), score(items=9, size=40), generate(9)
    for job in (running, waiting, asked, cancelled):
        rounds.take(job)
    rounds.run()
    cancelled.future.cancel()
    reason = RuntimeError("over")
    rounds.abandon(reason)
    assert [job.future.exception() for job in (running, waiting, asked)] == [reason] * 3


def test_limits_suit_the_device(backbone: Backbone) -> None:
    config = backbone.model.config
    assert backbone.cell_bytes == 2 * config.num_hidden_layers * 2 * 16 * 4
    assert default_limits(backbone).cache_cells * backbone.cell_bytes <= 2 * 1024**3
