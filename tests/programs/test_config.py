"""What a configuration may say, and how it is refused."""

import math
from typing import Any

import pytest
from pydantic import ValidationError

from modplural.programs.config import CommunityConfig, LMConfig, PoolConfig

LOCAL = {"model": "local/smollm2-135m-instruct"}
SERVED = {"model": "hosted_vllm/base", "api_base": "http://127.0.0.1:8000/v1"}


def community(**fields: Any) -> dict[str, Any]:
    return {"name": "care", "description": "Those who care.", "persona": "You care."} | fields


def refused(config: type[LMConfig | CommunityConfig | PoolConfig], fields: dict[str, Any]) -> str:
    """The one problem that a configuration is refused for, as `path: message`."""
    with pytest.raises(ValidationError) as caught:
        config.model_validate(fields)
    (problem,) = caught.value.errors()
    return f"{'.'.join(map(str, problem['loc']))}: {problem['msg']}"


def test_a_pool_is_read_in_order() -> None:
    pool = PoolConfig.model_validate({"base": LOCAL, "communities": [community(name=name) for name in ("b", "a", "c")]})
    assert [member.name for member in pool.communities] == ["b", "a", "c"]
    assert {member.weight for member in pool.communities} == {1.0}


def test_a_configuration_cannot_be_changed() -> None:
    config = LMConfig(model="openai/some")
    with pytest.raises(ValidationError, match="frozen"):
        config.model = "openai/other"


def test_text_is_stripped() -> None:
    assert CommunityConfig.model_validate(community(persona="  You care.\n")).persona == "You care."


@pytest.mark.parametrize("name", ["Care", "care ", "-care", "care--ful", "", "a/b", "süd", "care\n"])
def test_names_are_slugs(name: str) -> None:
    assert "is no name for a community" in refused(CommunityConfig, community(name=name))


@pytest.mark.parametrize("name", ["care", "news-left", "news_l", "2030"])
def test_slugs_are_names(name: str) -> None:
    assert CommunityConfig.model_validate(community(name=name)).name == name


def test_names_are_unique() -> None:
    fields = {"base": LOCAL, "communities": [community(), community(name="other"), community()]}
    with pytest.raises(ValidationError, match="2 communities are named 'care'") as caught:
        PoolConfig.model_validate(fields)
    assert [problem["loc"] for problem in caught.value.errors()] == [
        ("communities", 0, "name"),
        ("communities", 2, "name"),
    ]


def test_an_empty_pool_is_refused() -> None:
    assert refused(PoolConfig, {"base": LOCAL, "communities": []}).startswith("communities: the pool is empty")


def test_something_makes_it_a_community() -> None:
    assert refused(CommunityConfig, {"name": "care", "description": "Those who care."}) == (
        ": nothing makes the LM speak for 'care'; give persona, examples, adapter or model"
    )


@pytest.mark.parametrize(
    "fields",
    [
        {"persona": "You care."},
        {"examples": [{"query": "Lying", "message": "Lies hurt."}]},
        {"adapter": "./care"},
        {"model": "openai/care"},
    ],
    ids=lambda fields: next(iter(fields)),
)
def test_each_of_these_makes_it_a_community(fields: dict[str, Any]) -> None:
    CommunityConfig.model_validate({"name": "care", "description": "Those who care."} | fields)


@pytest.mark.parametrize("weight", [0, -1.0, math.inf, math.nan, "1", True, 10**400])
def test_weights_are_positive_numbers(weight: object) -> None:
    assert refused(CommunityConfig, community(weight=weight)).startswith("weight: ")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", math.inf),
        ("temperature", "0.5"),
        ("max_tokens", 0),
        ("max_tokens", 1.5),
    ],
)
def test_settings_have_their_range(field: str, value: object) -> None:
    assert refused(LMConfig, LOCAL | {field: value}).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        ("gpt-5", "names no provider"),
        ("local/", "names no provider"),
        ("/gpt-5", "names no provider"),
        ("vllm/base", "for a vLLM server write hosted_vllm/base"),
        (
            "oobabooga/http://me:secret@127.0.0.1/x",
            "oobabooga/... names an address in its model; give the address as api_base",
        ),
    ],
)
def test_models_name_their_provider(model: str, reason: str) -> None:
    assert reason in refused(LMConfig, {"model": model})


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:8000",
        "ftp://host/v1",
        "https://",
        "https://user:hunter2@host/v1",
        "https://hunter2@host/v1",
        "https://host/v1?key=hunter2",
        "https://host/v1#hunter2",
        "http://[::1",
        "http://host:99999",
    ],
)
def test_addresses_hold_no_credentials(url: str) -> None:
    with pytest.raises(ValidationError, match="must be http:// or https://") as caught:
        LMConfig(model="openai/some", api_base=url)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://host", "http://[::1]:8000/v1"])
def test_addresses_of_servers_are_taken(url: str) -> None:
    assert LMConfig(model="openai/some", api_base=url).api_base == url


@pytest.mark.parametrize("field", ["api_key", "API-Key", "token", "password", "headers", "extra_headers"])
def test_secrets_are_refused_with_the_remedy(field: str) -> None:
    problem = refused(LMConfig, {"model": "openai/some", field: "hunter2"})
    assert problem.startswith(f"{field}: secrets are not written here") and "api_key_env" in problem
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    "name",
    [
        "sk-hunter2",
        "gsk_hunter2HUNTER",
        "hf_hunter2_TOKEN",
        "AKIAHUNTER2",
        "DATABASE_URL",
        "SECRET",
        "openai_api_key",
        "2_KEY",
        "MONKEY",
        "KEYS",
        "SOME_KEY\n",
        "",
    ],
)
def test_a_key_in_place_of_its_variable_is_refused_unseen(name: str) -> None:
    problem = refused(LMConfig, {"model": "openai/some", "api_key_env": name})
    assert "name of the environment variable" in problem
    assert not name or name not in problem


@pytest.mark.parametrize("name", ["OPENAI_API_KEY", "HF_TOKEN", "KEY", "A_2_KEY"])
def test_variables_that_hold_keys_are_taken(name: str) -> None:
    assert LMConfig(model="openai/some", api_key_env=name).api_key_env == name


def test_an_unknown_field_lists_the_known_ones() -> None:
    problem = refused(PoolConfig, {"base": LOCAL, "communities": [community()], "bases": LOCAL})
    assert problem == "bases: unknown field; the fields here are base, communities, community_base"


@pytest.mark.parametrize(
    ("lm", "field"),
    [
        (LOCAL | {"api_base": "http://127.0.0.1:8000/v1"}, "api_base"),
        (LOCAL | {"api_key_env": "KEY"}, "api_key_env"),
        (SERVED | {"adapter": "./care"}, "adapter"),
    ],
)
def test_fields_fit_the_backend(lm: dict[str, Any], field: str) -> None:
    assert refused(LMConfig, lm).startswith(f"{field}: '{lm['model']}' runs ")


def test_an_adapter_on_a_shared_server_is_refused_where_it_is_written() -> None:
    fields = {"base": SERVED, "communities": [community(), community(name="b", adapter="./b")]}
    assert refused(PoolConfig, fields).startswith("communities.1.adapter: 'hosted_vllm/base' runs on a server")


def test_a_community_shares_the_lm_of_the_pool() -> None:
    members = [
        community(),
        community(name="adapted", adapter="owner/adapter", temperature=0.5),
        community(name="own", model="openai/own", max_tokens=7),
    ]
    shared = LOCAL | {"max_tokens": 80, "temperature": 1.0}
    pool = PoolConfig.model_validate({"base": SERVED, "community_base": shared, "communities": members})
    assert [pool.community_lm(member) for member in pool.communities] == [
        LMConfig(**shared),
        LMConfig(**shared | {"adapter": "owner/adapter", "temperature": 0.5}),
        LMConfig(model="openai/own", max_tokens=7),
    ]


def test_without_a_community_base_the_base_speaks() -> None:
    pool = PoolConfig.model_validate({"base": SERVED, "communities": [community()]})
    assert pool.community_lm(pool.communities[0]) == LMConfig(**SERVED)


def test_it_survives_json() -> None:
    member = community(examples=[{"query": "Lying", "message": "Lies hurt."}])
    pool = PoolConfig.model_validate({"base": SERVED, "communities": [member]})
    assert PoolConfig.model_validate_json(pool.model_dump_json()) == pool
