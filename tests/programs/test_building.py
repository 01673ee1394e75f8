"""From a configuration to a pool: who is made, with which LM, and who shares one."""

from pathlib import Path

import pytest

from modplural.programs import building
from modplural.programs.building import build_pool
from modplural.programs.config import PoolConfig
from modplural.programs.engines.fake import fake_lm

CONFIG = {
    "base": {"model": "openai/base"},
    "community_base": {"model": "openai/small"},
    "communities": [
        {"name": "care", "description": "Those who care.", "persona": "You speak for those who care."},
        {
            "name": "elders",
            "description": "Those who have seen much.",
            "examples": [{"query": "Going to bed late", "message": "I did that too, once."}],
            "weight": 2,
        },
        {"name": "guests", "description": "Those from elsewhere.", "model": "openai/guests"},
    ],
}


@pytest.fixture
def config(monkeypatch: pytest.MonkeyPatch) -> PoolConfig:
    """A pool whose LMs repeat what they are asked."""

    def build(lm):
        return fake_lm(lambda request: f"{lm.model} was asked {len(request.messages)} turns", name=lm.model)

    monkeypatch.setattr(building, "build_lm", build)
    return PoolConfig.model_validate(CONFIG)


def test_a_pool_is_made_as_it_is_configured(config: PoolConfig) -> None:
    base, pool = build_pool(config)
    assert base.model == "fake/openai/base"
    assert dict(pool.weights) == {"care": 1.0, "elders": 2.0, "guests": 1.0}
    assert pool["elders"].description == "Those who have seen much."
    assert pool["care"].comment.signature.instructions == "You speak for those who care."


def test_communities_are_asked_with_their_examples(config: PoolConfig) -> None:
    said = {message.community: message.text for message in build_pool(config).pool("Is it right?").messages}
    assert said == {
        "care": "openai/small was asked 1 turns",
        "elders": "openai/small was asked 3 turns",
        "guests": "openai/guests was asked 1 turns",
    }


def test_those_who_are_configured_alike_share_an_lm(config: PoolConfig) -> None:
    _, pool = build_pool(config)
    assert pool["care"].lm is pool["elders"].lm
    assert pool["care"].lm is not pool["guests"].lm


def test_a_real_adapter_speaks_for_a_community(tiny_model: Path, tiny_adapters: dict[str, Path]) -> None:
    lm = {"model": f"local/{tiny_model}", "max_tokens": 4}
    member = {"name": "care", "description": "Those who care.", "adapter": str(tiny_adapters["care"])}
    base, pool = build_pool(PoolConfig.model_validate({"base": lm, "communities": [member]}))
    assert pool["care"].lm.model.startswith(f"{base.model}+care@")
    assert pool("Is it right?").messages[0].text != base("Is it right?")[0]
