"""A base LLM behind an OpenAI-compatible API, of which only the likeliest tokens or not even these can be read, with
communities in this process."""

import json
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import dspy
import pytest

from modplural import Distributional, MeasuredChoice, Overton, Steerable
from modplural.poolfile import load_pool
from modplural.programs.building import BuiltPool, build_pool
from modplural.programs.config import LMConfig
from modplural.programs.lms import build_lm

ASKED = {"query": "May I lie to my boss?", "options": ["Yes", "No"]}
CHOICE = "query, options: list[str] -> choice: str"

pytestmark = pytest.mark.servers


@pytest.fixture
def mixed(address: str, smollm2: str) -> BuiltPool:
    """The API's base with three of the communities in this process."""
    config = load_pool("default")
    base = LMConfig(model="openai/base", api_base=address, temperature=0.0, max_tokens=48)
    here = LMConfig(model=smollm2, temperature=0.0, max_tokens=24)
    few = {"base": base, "community_base": here, "communities": config.communities[:3]}
    return build_pool(config.model_copy(update=few))


@pytest.fixture
def mute(address: str) -> Iterator[str]:
    """The address of the same server as one that keeps its probabilities to itself."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _muted(address)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()


def test_every_mode_answers(mixed: BuiltPool) -> None:
    names = ["care", "fairness", "liberty"]
    steered = Steerable(*mixed)("My brother cheated.", attribute="fairness", options=["Tell it", "Keep quiet"])
    spread = Distributional(*mixed)("Should streets be closed on Sundays?", options=["Yes", "No"])

    assert Overton(*mixed)("May I read my daughter's diary?").response
    assert [message.community for message in steered.messages] == names
    assert sum(steered.selection_probabilities.values()) == pytest.approx(1)
    assert list(spread.per_community) == names
    assert sum(spread.probabilities.values()) == pytest.approx(1)


def test_the_likeliest_tokens_are_enough_for_letters_and_verdicts(mixed: BuiltPool, address: str) -> None:
    vllm = dspy.LM("hosted_vllm/base", api_base=address, cache=False)
    for strategy in ("letters", "verdicts"):
        choose = MeasuredChoice(CHOICE, strategy)
        listed, exact = _ask(choose, mixed.base), _ask(choose, vllm)

        assert (listed.method, exact.method) == ("top_logprobs", "prompt_logprobs")
        assert listed.probabilities == pytest.approx(exact.probabilities, abs=0.02)


def test_auto_takes_what_the_api_tells(mixed: BuiltPool) -> None:
    choose = MeasuredChoice(CHOICE)

    assert choose.strategies(mixed.base) == ("letters", "verdicts", "sampled", "verbalized")
    assert _ask(choose, mixed.base).strategy == "verdicts"


def test_without_probabilities_auto_samples(mute: str) -> None:
    lm = build_lm(LMConfig(model="openai/base", api_base=mute))
    answer = _ask(MeasuredChoice(CHOICE), lm)

    assert (answer.strategy, answer.method) == ("sampled", "sampling")
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert 0 <= answer.outside < 1


def _ask(choose: MeasuredChoice, lm: dspy.LM) -> dspy.Prediction:
    with dspy.context(lm=lm):
        return choose(**ASKED)


def _muted(address: str) -> type[BaseHTTPRequestHandler]:
    class Muted(BaseHTTPRequestHandler):
        """Passes requests on, and replies back without their probabilities."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            headers = {"content-type": "application/json"}
            asked = urllib.request.Request(f"{address}/chat/completions", body, headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                reply = json.load(answer)
            reply["choices"][0]["logprobs"] = None
            data = json.dumps(reply).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            """Stay silent."""

    return Muted
