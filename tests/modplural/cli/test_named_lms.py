"""LMs by name: the base LLM, an id, a pool file's base; and names that leave open where an LM is."""

from pathlib import Path

import dspy
import pytest

from modplural.cli.named_lms import named_lm

BASE = dspy.LM("openai/base")
SERVED = """\
base: {model: hosted_vllm/big, api_base: "http://10.0.0.7:8000/v1", temperature: 0.7}
communities:
  - {name: care, description: Those who care., persona: You speak for care.}
"""


def test_base_is_the_base_llm_and_an_id_is_an_lm_of_its_own() -> None:
    assert named_lm("--prompt-lm", "base", BASE) is BASE
    assert named_lm("--prompt-lm", "openai/big", BASE).model == "openai/big"


@pytest.mark.parametrize("name", ["big.yaml", "pools/big.yml", "big"])
def test_a_pool_file_gives_its_base_with_address_and_settings(name: str, tmp_path: Path) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(SERVED)
    lm = named_lm("--prompt-lm", str(file), BASE)
    assert (lm.model, lm.kwargs["api_base"], lm.kwargs["temperature"]) == (
        "hosted_vllm/big",
        "http://10.0.0.7:8000/v1",
        0.7,
    )


def test_a_preset_is_a_pool_too() -> None:
    assert named_lm("--judge", "vllm", BASE).kwargs["api_base"] == "http://127.0.0.1:8000/v1"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        (
            "hosted_vllm/big",
            r"^--judge: 'hosted_vllm/big' .* give a pool file .*: \{model: hosted_vllm/big, api_base: ",
        ),
        ("", r"^--judge: '' names no provider; write local/.*; or 'base', or a pool file whose base it is$"),
        ("gpt", r"^--judge: 'gpt' names no provider"),
        ("vllm/big", r"^--judge: .* write hosted_vllm/big"),
        ("pools/none.yaml", r"^pools/none\.yaml: no such pool file, and no preset of that name"),
    ],
)
def test_a_name_that_tells_no_lm_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        named_lm("--judge", name, BASE)
