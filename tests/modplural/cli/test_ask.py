"""`modplural ask`: what is shown of an answer, what scripts get, and what is refused."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import dspy
import pytest
from typer.testing import Result

from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.errors import CommunityError
from modplural.programs.measurement import Measurement
from modplural.programs.pool import CommunityPool

Run = Callable[..., Result]
LMs = dict[str, dspy.LM]

QUESTION = "Is it right?"
OPTIONS = ("--option", "Always", "--option", "Never")
MESSAGES = ["care      Kindness protects somebody fragile.", "fairness  Justice demands impartial treatment."]


def lines(result: Result) -> list[str]:
    """What a command that went well has shown, the two messages first and in their order."""
    assert (result.exit_code, result.stderr) == (0, "")
    shown = [line.rstrip() for line in result.stdout.splitlines()]
    return [*sorted(shown[:2]), *shown[2:]]


def bar(share: float) -> str:
    """A bar of 40 columns, drawn in halves of a column."""
    halves = int(80 * share)
    return "━" * (halves // 2) + "╸" * (halves % 2)


def test_messages_and_response_are_shown(run: Run, pool_file: Path) -> None:
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file)
    assert lines(result) == [*MESSAGES, "", "Response", "Seen from both sides, it depends."]


def test_a_message_is_shown_although_another_never_comes(
    run: Run, pool_file: Path, replies: dict[str, str | Exception]
) -> None:
    replies["You speak for fairness"] = ConnectionError("nobody there")
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file)
    assert result.exit_code == 1
    assert result.stdout.rstrip() == MESSAGES[0]
    assert "no message from fairness" in result.stderr
    assert "nobody there" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_selection_is_shown_with_its_probabilities(run: Run, pool_file: Path) -> None:
    result = run("ask", QUESTION, "--mode", "steerable", "--attribute", "kindness", "--pool", pool_file)
    assert lines(result) == [
        *MESSAGES,
        "",
        "Selected: care",
        f"care      80%  {bar(0.8)}",
        f"fairness  20%  {bar(0.2)}",
        "",
        "Response",
        "Seen from both sides, it depends.",
    ]


def test_distributions_are_shown_as_bars(run: Run, pool_file: Path) -> None:
    result = run("ask", QUESTION, "--mode", "distributional", *OPTIONS, "--pool", pool_file)
    shown = lines(result)
    assert shown[:7] == [
        *MESSAGES,
        "",
        "Each community",
        "          weight  Always  Never",
        "care      25%     99%     1%",
        "fairness  75%     69%     31%",
    ]
    assert shown[7:] == ["", "All together", f"Always  77%  {bar(0.766)}", f"Never   23%  {bar(0.234)}"]


def test_a_baseline_answers_without_communities(run: Run, pool_file: Path) -> None:
    result = run("ask", QUESTION, "--baseline", "vanilla", "--pool", pool_file)
    assert result.stdout.split("\n")[:3] == ["", "Response", "Seen from both sides, it depends."]


def test_output_fits_in_a_hundred_columns(run: Run, pool_file: Path, replies: dict[str, str | Exception]) -> None:
    replies["You speak for care"] = "Kindness, " * 50
    result = run("ask", QUESTION, "--mode", "distributional", "--option", "Always " * 30, "--option", "N" * 150,
                 "--pool", pool_file)  # fmt: skip
    assert result.exit_code == 0
    assert max(map(len, result.stdout.splitlines())) <= 100


def test_lms_cannot_control_the_terminal(run: Run, pool_file: Path, replies: dict[str, str | Exception]) -> None:
    replies["You speak for care"] = "\x1b[2J[red]all[/red] \x07 is \x9b31m well"
    replies[""] = "\x1b]0;title\x07[bold]Indeed.[/bold]"
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file)
    assert not set(result.stdout) & {"\x1b", "\x07", "\x9b"}
    assert "[red]all[/red]" in result.stdout
    assert "[bold]Indeed.[/bold]" in result.stdout


def test_scripts_get_one_json_object(run: Run, pool_file: Path) -> None:
    asked = ("ask", QUESTION, "--mode", "steerable", "--attribute", "kindness", *OPTIONS, "--pool", pool_file, "--json")
    result = run(*asked)
    assert (result.exit_code, result.stderr, result.stdout.count("\n")) == (0, "", 1)
    answer = json.loads(result.stdout)
    assert answer["option"] == "Always"
    assert answer["probabilities"] == pytest.approx({"Always": 0.988, "Never": 0.012}, abs=1e-3)
    assert answer["selected"] == "care"
    assert answer["selection_probabilities"] == pytest.approx({"care": 0.8, "fairness": 0.2})
    assert answer["messages"][0] == {"community": "care", "text": "Kindness protects somebody fragile."}
    assert answer["failures"] == {}


def test_the_question_comes_from_standard_input(run: Run, pool_file: Path, fakes: LMs) -> None:
    result = run("ask", "-", "--mode", "overton", "--pool", pool_file, input="Is it\nright?\n")
    assert result.exit_code == 0
    assert all("right?" in prompt for prompt in fakes["openai/small"].engine.prompts)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((QUESTION,), r"Say what answers, by one of --mode, --baseline and --program"),
        ((QUESTION, "--mode", "overton", "--baseline", "vanilla"), r"by one of --mode, --baseline and --program"),
        ((QUESTION, "--mode", "pluralist"), r"'overton', 'steerable', 'distributional'"),
        ((QUESTION, "--mode", "overton", *OPTIONS), r"Overton takes no options"),
        ((QUESTION, "--mode", "steerable"), r"Steerable needs attribute"),
        ((QUESTION, "--mode", "distributional", "--option", "Always"), r"two or more"),
        (("", "--mode", "overton"), r"query is empty"),
        (("caf\udce9", "--mode", "overton"), r"'caf\\udce9' is no Unicode text, because of U\+DCE9 at character 4"),
        ((QUESTION, "--mode", "steerable", "--attribute", "caf\udce9"), r"is no Unicode text"),
        ((QUESTION, "--mode", "distributional", *OPTIONS, "--option", "caf\udce9"), r"is no Unicode text"),
        ((QUESTION, "--mode", "overton", "--pool", "none.yaml"), r"none\.yaml: no such pool file"),
        ((QUESTION, "--program", "none", "--pool", "default"), r"has a pool of its own"),
        ((QUESTION, "--program", "none"), r"none is no saved program"),
        ((QUESTION, "--mode", "overton", "--seed", "-1"), r"greater than or equal to 0"),
        ((QUESTION, "--mode", "overton", "--seed", str(2**32)), r"less than or equal to 4294967295"),
    ],
)
def test_wrong_usage_has_its_own_exit_code(arguments: tuple[str, ...], said: str, run: Run) -> None:
    result = run("ask", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert re.search(said, " ".join(result.stderr.split()))
    assert "Traceback" not in result.stderr


def test_a_mistake_in_a_pool_file_is_told_with_its_line(run: Run, pool_file: Path) -> None:
    pool_file.write_text(pool_file.read_text().replace("weight: 3", "weight: -3"))
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file)
    assert result.exit_code == 2
    assert "pool.yaml:5: communities[1].weight" in result.stderr.replace("\n", "")


def test_debugging_shows_where_an_error_came_from(
    run: Run, pool_file: Path, replies: dict[str, str | Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    replies[""] = ConnectionError("nobody there")
    replies["You speak for care"] = ConnectionError("nobody there")
    monkeypatch.setenv("MODPLURAL_DEBUG", "1")
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file)
    assert isinstance(result.exception, CommunityError)


def test_the_seed_reaches_every_lm(run: Run, pool_file: Path, fakes: LMs) -> None:
    result = run("ask", QUESTION, "--mode", "overton", "--pool", pool_file, "--seed", "7")
    assert result.exit_code == 0
    assert {lm.engine.requests[0].config.seed for lm in fakes.values()} == {7}
    assert len(fakes) == 2


def test_without_a_seed_none_is_sent(run: Run, pool_file: Path, fakes: LMs) -> None:
    run("ask", QUESTION, "--mode", "overton", "--pool", pool_file)
    assert {lm.engine.requests[0].config.seed for lm in fakes.values()} == {None}


def test_a_saved_program_answers_with_what_it_learned(run: Run, tmp_path: Path) -> None:
    care = CommunityLM("care", dspy.LM("openai/small"), persona="You speak for care.")
    program = Distributional(dspy.LM("openai/base"), CommunityPool([care]))
    program.choose.measurement = Measurement(bias={"Never": 100.0})
    program.save(tmp_path / "program")
    result = run("ask", QUESTION, "--program", tmp_path / "program", *OPTIONS, "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["probabilities"]["Never"] > 0.99
