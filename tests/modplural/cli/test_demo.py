"""`modplural demo`: all it promises is shown, whatever the LMs say."""

from collections.abc import Callable

from typer.testing import Result

Run = Callable[..., Result]


def test_every_mode_and_a_run_are_shown(run: Run) -> None:
    result = run("demo")
    assert result.exit_code == 0, result.stderr
    commands = [line for line in result.stdout.splitlines() if line.startswith("$ modplural")]
    assert [command.split()[2] for command in commands] == ["ask", "ask", "ask", "run"]
    for mode in ("overton", "steerable", "distributional"):
        assert f"--mode {mode}" in result.stdout
    for community in ("care", "fairness", "liberty", "loyalty", "authority", "sanctity"):
        assert sum(line.startswith(f"{community} ") for line in result.stdout.splitlines()) == 5
    assert "2 records of distributional-moralchoice, 2 answered now" in result.stdout
    assert "low-1" in result.stdout
