"""`modplural versions`: registered, listed, shown, compared within the terminal's width, promoted and rolled back."""

import json
from pathlib import Path

import dspy
import pytest

from modplural.programs.community import CommunityLM
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool

from .conftest import Run

WIDTH = 100


def save(folder: Path, instructions: str, strategy: str = "joint") -> Path:
    lm = dspy.LM("hosted_vllm/small", api_base="http://127.0.0.1:8000/v1")
    pool = CommunityPool([CommunityLM("care", lm, persona="You care."), CommunityLM("liberty", lm)])
    program = Overton(dspy.LM("openai/gpt-4o-mini"), pool, strategy=strategy)
    program.synthesize.signature = program.synthesize.signature.with_instructions(instructions)
    program.synthesize.demos = [dspy.Example(query="Why?", messages="1. [care] So.", response="So it is.")]
    program.save(folder)
    return folder


def scored(file: Path, value: float) -> Path:
    rows = [{"record": str(n), "group": str(n), "score": value} for n in range(8)]
    told = {"task": "overton-vk", "figure": "value coverage", "value": value, "n": 8, "digest": "d" * 64, "rows": rows}
    file.write_text(json.dumps(told), encoding="utf-8")
    return file


@pytest.fixture
def two(store: Path, run: Run) -> Run:
    """Two versions, the second one better."""
    for number, value in ((1, 0.5), (2, 0.7)):
        folder = save(store / f"saved{number}", "Answer. " * 40 * number, "joint" if number == 1 else "per_message")
        metrics = scored(store / f"scores{number}.json", value)
        result = run("versions", "register", folder, "--name", "overton", "--metrics", metrics)
        assert (result.exit_code, result.stdout) == (
            0,
            f"Registered models:/overton/{number}, which modplural.load takes.\n",
        )
    return run


def test_versions_are_promoted_where_they_are_better_and_rolled_back(two: Run) -> None:
    first = two("versions", "promote", "overton/1")
    assert first.stdout == "models:/overton@champion is overton/1 now: the first champion.\n"
    second = two("versions", "promote", "overton/2")
    assert second.stdout == (
        "models:/overton@champion is overton/2 now instead of overton/1: value coverage differs by +0.2000"
        " [+0.2000, +0.2000] on the same rows (n=8).\n"
    )
    refused = two("versions", "promote", "overton/1")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "overton/1 stays behind the champion, overton/2" in refused.stderr
    back = two("versions", "rollback", "overton")
    assert back.stdout == "models:/overton@champion is overton/1 now instead of overton/2: rolled back from 2.\n"
    forced = two("versions", "promote", "overton/2", "--force")
    assert forced.stdout.endswith("instead of overton/1: forced.\n")


def test_the_list_says_what_was_scored_and_who_is_champion(two: Run) -> None:
    two("versions", "promote", "overton/2")
    lines = two("versions", "list").stdout.splitlines()
    assert [line.split()[:6] for line in lines[1:]] == [
        ["overton/2", "overton", "champion", "value", "coverage", "0.700"],
        ["overton/1", "overton", "value", "coverage", "0.500", "8"],
    ]
    assert max(map(len, lines)) <= WIDTH


def test_a_version_is_shown_with_its_settings_and_prompts(two: Run) -> None:
    shown = two("versions", "show", "overton/2").stdout
    for part in ("models:/overton/2", "0.700", "openai/gpt-4o-mini", "per_message", "You care.", "response: So it is."):
        assert part in shown
    assert max(map(len, shown.splitlines())) <= WIDTH


def test_a_difference_stands_side_by_side(two: Run) -> None:
    lines = two("versions", "diff", "overton/1", "overton/2").stdout.splitlines()
    assert max(map(len, lines)) <= WIDTH
    cells = [line.split() for line in lines]
    assert ["value", "coverage", "0.500", "0.700"] in cells
    assert ["synthesis.value", "joint", "per_message"] in cells
    assert not any("care" in line for line in lines), "what both have alike is not shown"
    assert any(line.startswith("synthesize  Answer. Answer.") for line in lines)
    assert two("versions", "diff", "overton/1", "overton@1").exit_code == 2
    assert two("versions", "diff", "overton/1", "overton/1").stdout == "They do not differ.\n"


def test_a_version_answers_on_the_command_line(two: Run) -> None:
    result = two("ask", "May I?", "--program", "models:/overton/2", "--json")
    assert (result.exit_code, json.loads(result.stdout)["strategy"]) == (0, "per_message"), result.output


@pytest.mark.parametrize(
    ("arguments", "code", "problem"),
    [
        (("show", "overton/9"), 2, "there is no overton/9"),
        (("show", "overton"), 2, "names no version"),
        (("list", "elders"), 2, "no version is called 'elders'"),
        (("rollback", "elders"), 2, "no version is called 'elders'"),
        (("rollback", "overton"), 1, "no champion before the present one"),
        (("register", "nowhere", "--name", "overton"), 2, "is no saved program"),
        (("register", "saved1", "--name", "a/b"), 2, "is no name for versions"),
        (
            ("register", "saved1", "--name", "overton", "--metrics", "saved1/state.json"),
            2,
            "holds no scores of a version",
        ),
    ],
)
def test_what_cannot_be_is_said(arguments: tuple[str, ...], code: int, problem: str, two: Run) -> None:
    result = two("versions", *arguments)
    assert result.exit_code == code, result.output
    assert problem in result.stderr
    assert result.stdout == ""


def test_an_empty_store_is_said_to_be_empty(store: Path, run: Run) -> None:
    result = run("versions", "list")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "no versions in sqlite" in result.stderr
