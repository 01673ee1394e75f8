"""Generations against transformers' own `generate`, and what ends them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from modplural.programs.engines.backbone import Backbone
from modplural.programs.engines.generation import Generated, Generations, GenerationSpec, Row
from modplural.programs.engines.sampling import Sampling

PROMPTS = ("the user says what is right", "fair?", "and the others, what do they say to the assistant?", "a" * 60)


def spec(
    backbone: Backbone, text: str, max_tokens: int = 24, adapter: str | None = None, **rest: Any
) -> GenerationSpec:
    sampling = Sampling(rest.pop("temperature", 0.0), seed=rest.pop("seed", None))
    prompt = tuple(backbone.chat.encode_continuation(text))
    return GenerationSpec(prompt, adapter, max_tokens, sampling, **rest)


@torch.inference_mode()
def run(backbone: Backbone, *specs: GenerationSpec) -> list[Generated]:
    """Run generations from the same start, all together."""
    generations = Generations(backbone, max_rows=64, max_cells=10**6)
    rows = [Row(spec) for spec in specs]
    generations.join(rows)
    while generations.rows:
        generations.step()
    return [row.result for row in rows if row.result is not None]


def reference(backbone: Backbone, prompt: tuple[int, ...], max_tokens: int) -> tuple[int, ...]:
    """What transformers generates greedily on the base model."""
    ids = torch.tensor([prompt])
    output = backbone.model.generate(
        ids, attention_mask=torch.ones_like(ids), max_new_tokens=max_tokens, do_sample=False, pad_token_id=0
    )
    return tuple(output[0, len(prompt) :].tolist())


def test_greedy_generations_are_those_of_transformers(backbone: Backbone) -> None:
    specs = [spec(backbone, text) for text in PROMPTS]
    backbone.adapters.route([None])
    expected = [reference(backbone, one.prompt, one.max_tokens) for one in specs]

    together = run(backbone, *specs)

    assert [result.tokens for result in together] == expected
    assert [result.text for result in together] == [backbone.chat.decode(tokens) for tokens in expected]
    assert {result.finish for result in together} == {"length"}
    assert {result.used for result in together} == {24}


@settings(deadline=None, max_examples=25)
@given(schedule=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.integers(1, 20)), min_size=2, max_size=12))
def test_rows_that_join_and_leave_at_any_time_get_their_solo_tokens(
    backbone: Backbone, solo: Callable[[GenerationSpec], Generated], schedule: list[tuple[int, int, int]]
) -> None:
    """A schedule says for each row: how many steps to wait before it joins, its prompt and its length."""
    generations = Generations(backbone, max_rows=64, max_cells=2000)
    rows = []
    with torch.inference_mode():
        for number, (wait, text, length) in enumerate(schedule):
            for _ in range(wait):
                if generations.rows:
                    generations.step()
            adapter = (None, "care", "fairness", "liberty")[number % 4]
            setting = {"temperature": 1.0, "seed": number} if number % 3 == 2 else {}
            rows.append(Row(spec(backbone, PROMPTS[text], length, adapter, **setting)))
            generations.join(rows[-1:])
        while generations.rows:
            generations.step()
    assert [row.result for row in rows] == [solo(row.spec) for row in rows]
    assert generations._cache.slots == 0


@pytest.fixture(scope="session")
def solo(backbone: Backbone) -> Callable[[GenerationSpec], Generated]:
    """Runs one generation alone; remembers."""
    known: dict[GenerationSpec, Generated] = {}

    def run_alone(one: GenerationSpec) -> Generated:
        if one not in known:
            [known[one]] = run(backbone, one)
        return known[one]

    return run_alone


def test_a_row_taken_out_leaves_the_others_as_they_are(backbone: Backbone) -> None:
    specs = [spec(backbone, text) for text in PROMPTS]
    expected = run(backbone, *specs)
    generations = Generations(backbone, max_rows=64, max_cells=10**6)
    rows = [Row(one) for one in specs]
    with torch.inference_mode():
        generations.join(rows)
        generations.step()
        generations.leave(rows[0])
        generations.leave(rows[0])
        while generations.rows:
            generations.step()
    assert [row.result for row in rows] == [None, *expected[1:]]


def test_a_stop_text_ends_a_row_and_is_cut_off(backbone: Backbone) -> None:
    [whole] = run(backbone, spec(backbone, PROMPTS[0], 40))
    stop = whole.text[9:12]
    [stopped] = run(backbone, spec(backbone, PROMPTS[0], 40, stop=("never said", stop)))

    assert stopped.text == whole.text[: whole.text.index(stop)]
    assert stopped.finish == "stop"
    assert stopped.used < whole.used
    assert whole.tokens[: stopped.used] == stopped.tokens


def test_the_earliest_of_several_stop_texts_counts(backbone: Backbone) -> None:
    [whole] = run(backbone, spec(backbone, PROMPTS[0], 40))
    [stopped] = run(backbone, spec(backbone, PROMPTS[0], 40, stop=(whole.text[5:7], whole.text[4:7])))
    assert stopped.text == whole.text[: min(whole.text.index(whole.text[5:7]), whole.text.index(whole.text[4:7]))]


def test_an_end_token_ends_a_row_and_is_counted_but_not_said(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    [whole] = run(backbone, spec(backbone, PROMPTS[0]))
    end = whole.tokens[5]
    monkeypatch.setattr(backbone, "end_tokens", frozenset({end}))
    [ended] = run(backbone, spec(backbone, PROMPTS[0], logprobs=0))

    first = whole.tokens.index(end)
    assert ended.finish == "stop"
    assert ended.tokens == whole.tokens[:first]
    assert ended.text == backbone.chat.decode(whole.tokens[:first])
    assert ended.used == first + 1
    assert len(ended.scores) == first


def test_logprobs_are_those_of_a_plain_forward_pass_before_temperature(backbone: Backbone) -> None:
    one = spec(backbone, PROMPTS[1], 10, temperature=2.0, seed=1, logprobs=3)
    [result] = run(backbone, one, spec(backbone, PROMPTS[3], 20, "care"))[:1]
    backbone.adapters.route([None])
    ids = torch.tensor([[*one.prompt, *result.tokens]])
    logprobs = backbone.model(ids).logits[0].log_softmax(-1)[len(one.prompt) - 1 : -1]

    assert [score.token for score in result.scores] == list(result.tokens)
    for row, score in zip(logprobs, result.scores, strict=True):
        assert score.logprob == pytest.approx(float(row[score.token]), abs=1e-4)
        values, ids = row.topk(3)
        assert [token for token, _ in score.top] == ids.tolist()
        assert [value for _, value in score.top] == pytest.approx(values.tolist(), abs=1e-4)


def test_more_logprobs_than_there_are_tokens_are_all_of_them(backbone: Backbone) -> None:
    [result] = run(backbone, spec(backbone, PROMPTS[1], 1, logprobs=10**6))
    assert len(result.scores[0].top) == backbone.model.config.vocab_size


def test_what_fits_is_bounded_by_rows_and_by_cells(backbone: Backbone) -> None:
    generations = Generations(backbone, max_rows=3, max_cells=100)
    short, long = spec(backbone, "fair?", 10), spec(backbone, "fair?", 10**6)
    assert generations.fits([long])
    assert generations.fits([short] * 3)
    assert not generations.fits([short] * 4)
    assert not generations.fits([short, long])


def test_a_prompt_that_cannot_be_run_leaves_the_running_rows_alone(
    backbone: Backbone, monkeypatch: pytest.MonkeyPatch
) -> None:
    [expected] = run(backbone, spec(backbone, PROMPTS[0]))
    generations = Generations(backbone, max_rows=64, max_cells=10**6)
    row, refused = Row(spec(backbone, PROMPTS[0])), Row(spec(backbone, PROMPTS[2]))
    with torch.inference_mode():
        generations.join([row])
        with monkeypatch.context() as patch:
            patch.setattr(backbone.model, "forward", out_of_memory)
            with pytest.raises(MemoryError):
                generations.join([refused])
        while generations.rows:
            generations.step()
    assert row.result == expected
    assert refused.result is None


def out_of_memory(*args: object, **kwargs: object) -> None:
    raise MemoryError("no room")
