"""The commands of the README's section on served pools, as they stand there, on a real vLLM server."""

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from modplural.cli.app import app
from modplural.programs.config import PoolConfig

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECTION = README.split("\n## Served pools\n")[1].split("\n## ")[0]
COMMANDS = re.findall(r"^modplural (.+)$", SECTION, re.MULTILINE)

pytestmark = pytest.mark.servers


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_answered(command: str, preset: PoolConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    pools = {"vllm": preset}  # which is on the port that was free
    monkeypatch.setattr("modplural.poolfile.load_pool", pools.__getitem__)
    result = CliRunner().invoke(app, shlex.split(command))

    assert result.exit_code == 0, result.output
    assert "Response" in result.stdout
    assert all(community.name in result.stdout for community in preset.communities)


def test_there_is_such_a_command() -> None:
    assert any("--pool vllm" in command for command in COMMANDS)
