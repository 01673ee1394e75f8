"""Which ways to measure a choice there are, and which of them a backend can do."""

import dspy
import pytest

from modplural.programs.choosing import STRATEGIES, usable_strategies
from modplural.programs.engines.fake import FakeEngine, fake_lm


class Listing(FakeEngine):
    """An engine that lists likely next tokens, and measures nothing else."""

    measures = frozenset()
    supported_params = FakeEngine.supported_params | {"logprobs"}


class Talking(FakeEngine):
    """An engine that tells no likelihoods at all."""

    measures = frozenset()


ALL = ("letters", "texts", "verdicts", "channel", "sampled", "verbalized")
NEXT_TOKEN = ("letters", "verdicts", "sampled", "verbalized")
ANY = ("sampled", "verbalized")


def test_the_strategies_are_those_of_the_documentation() -> None:
    assert tuple(STRATEGIES) == ALL


@pytest.mark.parametrize(
    ("lm", "usable"),
    [
        (fake_lm(), ALL),
        (dspy.LM("hosted_vllm/base"), ALL),
        (dspy.LM("openai/gpt-4o", api_key="none"), NEXT_TOKEN),
        (dspy.LM("fake/listing", engine=Listing()), NEXT_TOKEN),
        (dspy.LM("fake/talking", engine=Talking()), ANY),
        (dspy.LM("anthropic/claude-sonnet-4-5", api_key="none"), ANY),
        (dspy.LM("openai/gpt-4o", model_type="responses", api_key="none"), ANY),
        (dspy.utils.DummyLM([{"choice": "A"}]), ANY),
    ],
    ids=["scores", "vllm", "api", "lists", "talks", "anthropic", "responses", "custom"],
)
def test_what_is_usable_follows_from_what_the_backend_measures(lm: dspy.BaseLM, usable: tuple[str, ...]) -> None:
    assert usable_strategies(lm) == usable


def test_nothing_is_asked_to_find_out() -> None:
    lm = fake_lm()
    usable_strategies(lm)
    assert not lm.engine.requests
