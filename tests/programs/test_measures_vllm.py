"""Measuring likelihoods on vLLM, played by a small server on this machine.

With MODPLURAL_VLLM set to the base URL of a real vLLM server (http://127.0.0.1:8000/v1), its likelihoods are compared
with those of transformers.
"""

import json
import math
import os
import re
import threading
import time
import urllib.request
import zlib
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.programs.engines.scoring import Likelihood, ScoreItem, Turn
from modplural.programs.measures import CannotMeasureError

from .likelihood_server import QUESTION, Reply, Score, chat_reply


class ToyVLLM:
    """A vLLM of words: its tokenizer merges letters across any boundary, its likelihoods depend on two tokens."""

    def __init__(self, *, trims: bool = False, old: bool = False) -> None:
        self.trims = trims
        self.old = old
        self.ids: dict[str, int] = {}
        self.lock = threading.Lock()

    def __call__(self, body: dict[str, Any]) -> Reply:
        words = self.words(body["messages"], body.get("continue_final_message", False))
        reply = chat_reply(body, "", "length")
        if body.get("return_token_ids"):
            reply["prompt_token_ids"] = [self.id(word) for word in words]
        if "prompt_logprobs" in body:
            reply["prompt_logprobs"] = [None, *map(self.entry, words, words[1:])]
        if body.get("logprobs"):
            named = [] if self.old else body.get("logprob_token_ids", [])
            top = [self.listed(words[-1], word) for word in ("Sampled", *map(self.word, named))]
            reply["choices"][0]["logprobs"] = {"content": [{**top[0], "top_logprobs": top}]}
        return 200, reply

    def words(self, messages: list[dict[str, str]], continued: bool) -> list[str]:
        contents = [m["content"].strip() if self.trims else m["content"] for m in messages]
        text = "".join(f"<{m['role']}>{content}<end>" for m, content in zip(messages, contents, strict=True))
        return split_words(text.removesuffix("<end>") if continued else f"{text}<assistant>")

    def id(self, word: str) -> int:
        with self.lock:
            return self.ids.setdefault(word, len(self.ids) + 1)

    def word(self, token: int) -> str:
        return next(word for word, known in self.ids.items() if known == token)

    def entry(self, before: str, word: str) -> dict[str, Any]:
        return {str(self.id(word)): {"logprob": logprob(before, word), "rank": 3, "decoded_token": word}}

    def listed(self, before: str, word: str) -> dict[str, Any]:
        return {"token": f"token_id:{self.id(word)}", "logprob": logprob(before, word), "bytes": None}


def split_words(text: str) -> list[str]:
    return re.findall(r"<\w+>| ?\w+|\s|[^\w\s]", text)


def logprob(before: str, word: str) -> float:
    return -(zlib.crc32(f"{before}|{word}".encode()) % 1000) / 100 - 0.01


def expected(*words: str) -> float:
    """Log-likelihood of the words after the first."""
    return math.fsum(map(logprob, words, words[1:]))


def test_vllm_measures_tokens_of_any_rank_and_several_tokens(serve: Any, measure: Score) -> None:
    server = serve(ToyVLLM())
    rows = measure(server.lm("hosted_vllm/base"), [ScoreItem(QUESTION, ("A", " A", "an old tree", "\nNo"))])
    assert rows == [
        [
            Likelihood(expected("<assistant>", "A"), 1),
            Likelihood(expected("<assistant>", " A"), 1),
            Likelihood(pytest.approx(expected("<assistant>", "an", " old", " tree")), 3),
            Likelihood(pytest.approx(expected("<assistant>", "\n", "No")), 2),
        ]
    ]


def test_vllm_is_asked_for_the_prompt_once_and_again_only_for_several_tokens(serve: Any, measure: Score) -> None:
    server = serve(ToyVLLM())
    other = (Turn("user", "And which here?"),)
    measure(server.lm("hosted_vllm/base"), [ScoreItem(p, ("A", "B", "an old tree")) for p in (QUESTION, other)])
    prompts = [body["messages"] for body in server.bodies]
    probes = [prompt for prompt in prompts if prompt[0]["content"] == "."]
    assert len(probes) == 1 + 3
    assert sum(prompt[0]["content"] == "Be brief." for prompt in prompts) == 1 + 1
    assert sum(prompt[0]["content"] == "And which here?" for prompt in prompts) == 1 + 1


def test_vllm_goes_on_from_an_answer_begun(serve: Any, measure: Score) -> None:
    item = ScoreItem((*QUESTION, Turn("assistant", "I say:")), (" yes", " yes indeed"))
    assert measure(serve(ToyVLLM()).lm("hosted_vllm/base"), [item]) == [
        [
            Likelihood(expected(":", " yes"), 1),
            Likelihood(pytest.approx(expected(":", " yes", " indeed")), 2),
        ]
    ]


def test_what_merges_with_the_prompt_is_bounded_by_its_first_token(serve: Any, measure: Score) -> None:
    item = ScoreItem((*QUESTION, Turn("assistant", "Answer")), ("ing it", "ing", " it is"))
    assert measure(serve(ToyVLLM()).lm("hosted_vllm/base"), [item]) == [
        [
            Likelihood(expected("Answer", "ing"), 2, bounded=True),
            Likelihood(expected("Answer", "ing"), 1),
            Likelihood(pytest.approx(expected("Answer", " it", " is")), 2),
        ]
    ]


def test_a_trimmed_leading_space_is_not_counted_as_the_word_without_it(serve: Any, measure: Score) -> None:
    item = ScoreItem(QUESTION, ("A", " A", "A tree", " A tree"))
    assert measure(serve(ToyVLLM(trims=True)).lm("hosted_vllm/base"), [item]) == [
        [
            Likelihood(expected("<assistant>", "A"), 1),
            Likelihood(expected("<assistant>", " A"), 1),
            Likelihood(pytest.approx(expected("<assistant>", "A", " tree")), 2),
            Likelihood(expected("<assistant>", " A"), 2, bounded=True),
        ]
    ]


def test_a_trimmed_trailing_space_is_refused(serve: Any, measure: Score) -> None:
    with pytest.raises(CannotMeasureError, match=r"does not keep the continuation 'A '"):
        measure(serve(ToyVLLM(trims=True)).lm("hosted_vllm/base"), [ScoreItem(QUESTION, ("A ",))])


def test_an_older_vllm_is_asked_for_every_continuation(serve: Any, measure: Score) -> None:
    server = serve(ToyVLLM(old=True))
    rows = measure(server.lm("hosted_vllm/base"), [ScoreItem(QUESTION, ("A", "an old tree"))])
    assert rows[0][0] == Likelihood(pytest.approx(expected("<assistant>", "A")), 1)
    assert rows[0][1] == Likelihood(pytest.approx(expected("<assistant>", "an", " old", " tree")), 3)
    merging = ScoreItem((*QUESTION, Turn("assistant", "Answer")), ("ing",))
    with pytest.raises(CannotMeasureError, match=r"too old to be asked for the tokens of 'ing'"):
        measure(server.lm("hosted_vllm/base"), [merging])


def test_a_server_that_is_not_vllm_is_found_out(serve: Any, measure: Score) -> None:
    server = serve(lambda body: (200, chat_reply(body, "A", "length")))
    with pytest.raises(CannotMeasureError, match=r"lacks 'prompt_token_ids'.*openai/"):
        measure(server.lm("hosted_vllm/base"), [ScoreItem(QUESTION, ("A",))])


def test_vllm_is_not_asked_twice_for_what_is_cached(serve: Any, measure: Score, dspy_cache: Path) -> None:
    server = serve(ToyVLLM())
    items = [ScoreItem(QUESTION, ("A", "an old tree"))]
    first = measure(server.lm("hosted_vllm/base", cache=True), items)
    asked = len(server.bodies)
    assert measure(server.lm("hosted_vllm/base", cache=True), items) == first
    assert len(server.bodies) == asked
    measure(server.lm("hosted_vllm/base", cache=True), [ScoreItem((Turn("user", "Else?"),), ("A", "an old tree"))])
    assert len(server.bodies) == asked + 2
    measure(server.lm("hosted_vllm/base", cache=False), items)
    assert len(server.bodies) == asked + 2 + asked


def test_bulky_replies_stay_out_of_the_history_and_the_cache(serve: Any, measure: Score, dspy_cache: Path) -> None:
    server = serve(ToyVLLM())
    lm = server.lm("hosted_vllm/base", cache=True)
    prompt = (Turn("user", "word " * 500),)
    measure(lm, [ScoreItem(prompt, ("A", "an old tree"))])
    tails = [body for body in server.bodies if "prompt_logprobs" in body and "word" in str(body["messages"])]
    assert len(tails) == 1
    assert len(lm.history) == len(server.bodies) - 1
    assert max(len(repr(entry)) for entry in dspy.cache.memory_cache.values()) < 20_000


def test_usage_is_tracked_through_the_threads(serve: Any, measure: Score) -> None:
    server = serve(ToyVLLM())
    with dspy.track_usage() as tracker:
        measure(server.lm("hosted_vllm/base"), [ScoreItem(QUESTION, ("A", "an old tree"))])
    assert tracker.get_total_tokens()["hosted_vllm/base"]["prompt_tokens"] == 5 * len(server.bodies)


def test_at_most_eight_requests_are_open_at_once(serve: Any, measure: Score) -> None:
    toy = ToyVLLM()

    def slowly(body: dict[str, Any]) -> Reply:
        time.sleep(0.02)
        return toy(body)

    server = serve(slowly)
    measure(server.lm("hosted_vllm/base"), [ScoreItem((Turn("user", f"{n}?"),), ("A",)) for n in range(24)])
    assert 2 <= server.most_open <= 8


def test_two_servers_with_one_model_name_share_no_measured_prompt(serve: Any, measure: Score, dspy_cache: Path) -> None:
    for server in (serve(ToyVLLM()), serve(ToyVLLM())):
        measure(server.lm("hosted_vllm/base", cache=True), [ScoreItem(QUESTION, ("A", "an old tree"))])
        assert any("prompt_logprobs" in body for body in server.bodies)


REAL = os.environ.get("MODPLURAL_VLLM")


@pytest.mark.slow
@pytest.mark.skipif(REAL is None, reason="needs a vLLM server; name its base URL in MODPLURAL_VLLM")
def test_a_real_vllm_agrees_with_transformers(measure: Score) -> None:
    with urllib.request.urlopen(f"{REAL}/models") as reply:
        served = json.load(reply)["data"][0]
    if not Path(served["root"]).is_dir():
        pytest.skip(f"the server's model folder {served['root']} cannot be read here")
    items = [
        ScoreItem(QUESTION, ("A", " A", "an old tree", " an old tree", "\n\nNo", "日本語です 👍🏽")),
        ScoreItem((Turn("user", "A long story. " * 60 + "Which one?"),), ("A", "zygote", "the second one")),
        ScoreItem((*QUESTION, Turn("assistant", "The answer is:")), (" A", " B", " the second one, of course")),
        ScoreItem((*QUESTION, Turn("assistant", "The answer is: ")), ("A", "B")),
    ]
    rows = measure(dspy.LM(f"hosted_vllm/{served['id']}", api_base=REAL, cache=False), items)
    pairs = zip((found for row in rows for found in row), reference(served["root"], items), strict=True)
    differences = []
    for found, (value, tokens) in pairs:
        assert found.tokens == tokens
        if found.bounded:
            assert value <= found.logprob + 0.15
        else:
            differences.append(abs(found.logprob - value) / tokens)
    assert len(differences) >= 12
    # In bf16 the logits, around 20, come in steps of 0.125; a server in float32 differs by less than 0.0001.
    assert max(differences) < 0.15
    assert sum(differences) / len(differences) < 0.05


def reference(folder: str, items: list[ScoreItem]) -> list[tuple[float, int]]:
    """Log-likelihood and number of tokens of each continuation, plainly computed in float32."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
    found = []
    for item in items:
        begun = item.prompt[-1].role == "assistant"
        text = tokenizer.apply_chat_template(
            [turn._asdict() for turn in item.prompt],
            tokenize=False,
            add_generation_prompt=not begun,
            continue_final_message=begun,
        )
        prompt = tokenizer(text, add_special_tokens=False)["input_ids"]
        for continuation in item.continuations:
            tokens = tokenizer(continuation, add_special_tokens=False)["input_ids"]
            with torch.no_grad():
                logprobs = model(torch.tensor([prompt + tokens])).logits[0].log_softmax(-1)
            places = range(len(prompt) - 1, len(prompt) - 1 + len(tokens))
            found.append((math.fsum(float(logprobs[p, t]) for p, t in zip(places, tokens, strict=True)), len(tokens)))
    return found
