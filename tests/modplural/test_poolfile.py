"""Pool files and presets: what is read, and what is said about mistakes."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from modplural.poolfile import PoolFileError, load_pool, open_pool, preset_names
from modplural.programs.config import PoolConfig

SOUND = """\
base: {model: openai/some, api_base: "https://host/v1", api_key_env: SOME_KEY}
community_base: {model: local/smollm2-135m-instruct}
communities:
  - name: care
    description: Those who care.
    adapter: owner/care
  - name: elders
    description: Those who have seen much.
    persona: >
      You speak for
      the elders.
    weight: 2
"""


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    return tmp_path / "pool.yaml"


def problems(path: Path, text: str) -> list[str]:
    """What is said about a pool file, without the folder."""
    path.write_text(text, encoding="utf-8")
    with pytest.raises(PoolFileError) as caught:
        load_pool(path)
    return str(caught.value).replace(f"{path.parent}/", "").splitlines()


def test_a_pool_file_is_read(pool_file: Path) -> None:
    pool_file.write_text(SOUND, encoding="utf-8")
    pool = load_pool(str(pool_file))
    assert [(member.name, member.weight) for member in pool.communities] == [("care", 1.0), ("elders", 2.0)]
    assert pool.communities[1].persona == "You speak for the elders."
    assert pool.base.api_key_env == "SOME_KEY"


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("weight: 2", "weight: -2", "pool.yaml:12: communities[1].weight: Input should be greater than 0 (got -2)"),
        (
            "weight: 2",
            "weight: many",
            "pool.yaml:12: communities[1].weight: Input should be a valid number (got 'many')",
        ),
        ("name: elders", "name: no", "pool.yaml:7: communities[1].name: Input should be a valid string (got False)"),
        ("name: elders", "name: Elders", "pool.yaml:7: communities[1].name: 'Elders' is no name for a community"),
        ("    description: Those who care.\n", "", "pool.yaml:4: communities[0].description: Field required"),
        ("weight: 2", "wieght: 2", "pool.yaml:12: communities[1].wieght: unknown field; the fields here are adapter,"),
        ("weight: 2", "api_key: hunter2", "pool.yaml:12: communities[1].api_key: secrets are not written here"),
        ("https://host", "https://me:hunter2@host", "pool.yaml:1: base.api_base: must be http:// or https://"),
        ("SOME_KEY", "sk-hunter2", "pool.yaml:1: base.api_key_env: must be the name of the environment variable"),
        ("local/", "openai/", "pool.yaml:6: communities[0].adapter: 'openai/smollm2-135m-instruct' runs on a server"),
        ("weight: 2", "persona: again", "pool.yaml:12: 'persona' is given twice, first in line 9; keep one of them"),
        ("weight: 2", "weight: [2", "pool.yaml:13: while parsing a flow sequence"),
    ],
)
def test_a_mistake_is_named_with_its_line(old: str, new: str, expected: str, pool_file: Path) -> None:
    (problem,) = problems(pool_file, SOUND.replace(old, new))
    assert problem.startswith(expected)
    assert "hunter2" not in problem


def test_all_mistakes_are_named_at_once(pool_file: Path) -> None:
    text = SOUND.replace("weight: 2", "weight: 0").replace("name: care", "name: Care").replace("openai/some", "some")
    assert [problem.split(":")[1] for problem in problems(pool_file, text)] == ["1", "4", "12"]


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_lacks_its_fields(text: str, pool_file: Path) -> None:
    assert problems(pool_file, text) == [
        "pool.yaml:1: base: Field required",
        "pool.yaml:1: communities: Field required",
    ]


def test_an_empty_pool_is_refused(pool_file: Path) -> None:
    assert problems(pool_file, "base: {model: openai/some}\ncommunities: []\n") == [
        "pool.yaml:2: communities: the pool is empty; give at least one community"
    ]


def test_a_missing_file_lists_the_presets(tmp_path: Path) -> None:
    with pytest.raises(PoolFileError, match=r"no such pool file.*culture, default, mixed, personas, perspective, vllm"):
        load_pool(tmp_path / "none.yaml")


@pytest.mark.parametrize("source", ["", "\0"])
def test_what_is_no_file_cannot_be_read(source: str) -> None:
    with pytest.raises(PoolFileError, match="cannot be read"):
        load_pool(source)


def test_text_in_another_encoding_cannot_be_read(pool_file: Path) -> None:
    pool_file.write_bytes("persona: süß".encode("latin-1"))
    with pytest.raises(PoolFileError, match="cannot be read as UTF-8 text"):
        load_pool(pool_file)


def test_a_pool_is_opened_in_one_line(pool_file: Path, tiny_model: Path, tiny_adapters: dict[str, Path]) -> None:
    member = f"{{name: care, description: Those who care., adapter: {tiny_adapters['care']}, weight: 2}}"
    pool_file.write_text(f"base: {{model: local/{tiny_model}}}\ncommunities:\n  - {member}\n", encoding="utf-8")
    base, pool = open_pool(pool_file)
    assert base.model.startswith("local/tiny@")
    assert dict(pool.weights) == {"care": 2.0}


@pytest.mark.parametrize("name", preset_names())
def test_presets_are_sound(name: str) -> None:
    assert len(load_pool(name).communities) >= 5


def test_the_presets_of_the_paper_name_its_adapters() -> None:
    perspective, culture, mixed = (load_pool(name) for name in ("perspective", "culture", "mixed"))
    adapters = {member.adapter for pool in (perspective, culture) for member in pool.communities}
    assert len(adapters) == 11
    assert {member.adapter for member in mixed.communities} < adapters
    assert {perspective.base, culture.base, mixed.base} == {perspective.base}


def test_the_default_pool_needs_neither_network_nor_key() -> None:
    pool = load_pool("default")
    assert [member.name for member in pool.communities] == [
        "care",
        "fairness",
        "liberty",
        "loyalty",
        "authority",
        "sanctity",
    ]
    assert {pool.community_lm(member).model for member in pool.communities} == {"local/smollm2-135m-instruct"}
    assert [member.adapter for member in pool.communities] == [member.name for member in pool.communities]


def test_the_personas_are_the_same_communities_on_the_same_lm() -> None:
    pool, default = load_pool("personas"), load_pool("default")
    assert [(member.name, member.description) for member in pool.communities] == [
        (member.name, member.description) for member in default.communities
    ]
    assert (pool.base, pool.community_base and pool.community_base.model) == (
        default.base,
        default.community_base and default.community_base.model,
    )
    assert all(member.persona and len(member.examples) == 3 and not member.adapter for member in pool.communities)


def test_a_file_named_like_a_preset_is_reached_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "default").write_text(SOUND, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert [member.name for member in load_pool("./default").communities] == ["care", "elders"]
    assert len(load_pool("default").communities) == 6


def test_paths_are_relative_to_the_file(pool_file: Path, tmp_path: Path) -> None:
    (tmp_path / "adapters" / "care").mkdir(parents=True)
    base = "{model: local/./model}"
    adapters = ["./missing", "adapters/care", "owner/adapter", "/somewhere/care", "care"]
    members = "".join(f"  - {{name: c{i}, description: d, adapter: {path}}}\n" for i, path in enumerate(adapters))
    pool_file.write_text(f"base: {base}\ncommunities:\n{members}", encoding="utf-8")
    pool = load_pool(pool_file)
    folder = tmp_path.resolve()
    assert pool.base.model == f"local/{folder}/model"
    assert [member.adapter for member in pool.communities] == [
        f"{folder}/missing",
        f"{folder}/adapters/care",
        "owner/adapter",
        "/somewhere/care",
        "care",
    ]


lines = st.sampled_from(
    [*SOUND.splitlines(), "&a [*a]", "&b {base: *b}", "<<: *a", "weight: .inf", "- !!set {a}", "? "]
)
texts = st.text() | st.lists(lines | st.text(max_size=20), max_size=15).map("\n".join)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=texts)
@example(text="base: &a {model: *a}\ncommunities: [*a]")
@example(text="&a [*a]")
def test_any_text_is_a_pool_or_a_mistake(text: str, pool_file: Path) -> None:
    pool_file.write_text(text, encoding="utf-8")
    try:
        assert isinstance(load_pool(pool_file), PoolConfig)
    except PoolFileError as error:
        assert str(error).startswith(str(pool_file))


def test_the_served_pool_has_the_default_communities_with_messages_as_long() -> None:
    served, default = load_pool("vllm"), load_pool("default")
    assert [
        (member.name, member.description, served.community_lm(member).max_tokens) for member in served.communities
    ] == [(member.name, member.description, default.community_lm(member).max_tokens) for member in default.communities]
