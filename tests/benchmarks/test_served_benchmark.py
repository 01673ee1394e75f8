"""The benchmark beside a server asks both the same, and judges the median of the rounds; nothing is served here."""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural import fake_lm

ADDRESS = "http://127.0.0.1:1/v1"


@pytest.fixture
def served(benchmark: Any) -> Any:
    return benchmark("served")


@pytest.fixture
def made(benchmark: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What was made of LMs on the server and in the engine: all are fake, and as care they say two different things."""
    generate, real, made = benchmark("engine_way").generate, dspy.LM, list[Any]()

    def lm(name: str, **settings: Any) -> dspy.LM:
        if "engine" in settings:
            return real(name, **settings)
        made.append((name, settings))
        return fake_lm({"": f"So says {name.rpartition('/')[2]}."}, name=name)

    class Engine:
        def __init__(self, model: str, adapters: dict[str, Path], dtype: str | None) -> None:
            made.append((model, sorted(adapters), dtype))
            assert all((folder / "adapter_config.json").is_file() for folder in adapters.values())
            said = {name: "Something else." if name == "care" else f"So says {name}." for name in adapters}
            self.lms = {name: fake_lm({"": text}, name=name) for name, text in said.items()}

        def generate(self, tasks: Any, tokens: int, advance: Callable[[], None]) -> Any:
            return generate(self.lms, tasks, tokens, advance)

        def close(self) -> None:
            made.append("closed")

    monkeypatch.setattr(dspy, "LM", lm)
    monkeypatch.setattr(benchmark("engine_way"), "EngineWay", Engine)
    monkeypatch.setenv("MODPLURAL_VLLM", ADDRESS)
    return made


def test_quick_run_asks_both_the_same_and_prints_the_ratio(
    served: Any, made: list[Any], cells: Callable[[str], list[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    code = served.main(["--quick", "--dtype", "float32"])

    printed = capsys.readouterr()
    assert code == os.EX_OK
    assert max(map(len, printed.out.splitlines())) <= 100
    assert printed.err.startswith("round 1: vLLM ")
    (row,) = [row for row in map(cells, printed.out.splitlines()) if row[0] == "generation, tokens/s"]
    assert row[4] == "≥ 1"
    assert float(row[3]) > 0
    assert "The median of 1 rounds. Both gave the same text in 5 of 6 answers." in printed.out
    names = ["authority", "care", "fairness", "liberty", "loyalty", "sanctity"]
    assert made[0] == ("smollm2-135m-instruct", names, "float32")
    assert sorted(name for name, _ in made[1:-1]) == [f"hosted_vllm/{name}" for name in names]
    assert all(settings == {"api_base": ADDRESS, "cache": False} for _, settings in made[1:-1])
    assert made[-1] == "closed"


def a_round(served: Any, benchmark: Any, served_s: float, ours_s: float, *, same: int = 2) -> Any:
    """Two answers of ten tokens by each, of which so many are the same."""
    answer = benchmark("workload").Answer
    ours = [answer("Yes." if place < same else "No.", 10, 5) for place in range(2)]
    return served.Round([answer("Yes.", 10, 5)] * 2, served_s, ours, ours_s)


@pytest.mark.parametrize(
    ("times", "ratio", "code"),
    [
        ([(1.0, 0.5), (1.0, 0.8), (1.0, 0.625)], "1.60", os.EX_OK),
        ([(1.0, 2.0), (1.0, 1.25), (1.0, 0.5)], "0.80", os.EX_SOFTWARE),
        # The medians of both are 20 tokens/s, and their ratio 1; in two of three rounds the engine was slower.
        ([(0.5, 1.0), (1.0, 2.0), (2.0, 1.0)], "0.50", os.EX_SOFTWARE),
    ],
)
def test_the_median_of_the_ratios_is_judged(
    times: list[tuple[float, float]],
    ratio: str,
    code: int,
    served: Any,
    made: list[Any],
    benchmark: Any,
    cells: Callable[[str], list[str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rounds = [a_round(served, benchmark, *both, same=1) for both in times]
    monkeypatch.setattr(served, "_take_turns", lambda served, ours, quick: rounds)

    assert served.main([]) == code
    printed = capsys.readouterr().out
    (row,) = [row for row in map(cells, printed.splitlines()) if row[0] == "generation, tokens/s"]
    assert row[3:] == [ratio, "≥ 1", "yes" if code == os.EX_OK else "no"]
    assert "Both gave the same text in 3 of 6 answers." in printed
    assert served.main(["--quick"]) == os.EX_OK


def test_a_round_has_a_speed_for_both(served: Any, benchmark: Any) -> None:
    assert a_round(served, benchmark, 0.5, 4.0).speeds == (40.0, 5.0)


def test_prompts_that_differ_are_not_compared(served: Any, benchmark: Any) -> None:
    one = a_round(served, benchmark, 1.0, 1.0)
    longer = [answer._replace(prompt_tokens=6) for answer in one.ours]
    with pytest.raises(RuntimeError, match="other prompts of the same turns"):
        served._agreement([one._replace(ours=longer)])


def test_every_round_has_questions_of_its_own(served: Any, benchmark: Any) -> None:
    answer = benchmark("workload").Answer
    asked: dict[str, list[Any]] = {"served": [], "ours": []}

    def way(name: str) -> Any:
        return lambda tasks, tokens: asked[name].append((tasks, tokens)) or [answer("Yes.", tokens, 5) for _ in tasks]

    rounds = served._take_turns(way("served"), way("ours"), quick=False)

    assert len(rounds) == served.ROUNDS
    assert asked["served"] == asked["ours"]
    warm, *turns = asked["served"]
    assert warm[1] < served.TOKENS
    assert [(len(tasks), tokens) for tasks, tokens in turns] == [(served.AT_ONCE, served.TOKENS)] * served.ROUNDS
    assert len({task for tasks, _ in turns for task in tasks}) == served.AT_ONCE * served.ROUNDS


def test_without_a_server_one_is_started_beside_the_same_run(served: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    called: list[list[str]] = []
    monkeypatch.delenv("MODPLURAL_VLLM", raising=False)
    monkeypatch.setenv("VLLM_CPU_NUM_OF_RESERVED_CPU", "1")  # what the user has set is left
    monkeypatch.setattr("subprocess.call", lambda command: called.append(command) or 3)

    assert served.main(["--dtype", "bfloat16", "--quick"]) == 3
    (command,) = called
    script, benchmark = str(served.ROOT / "examples" / "serve_vllm.py"), served.__file__
    serve = [sys.executable, script, "--port", "0", "--dtype", "bfloat16", "--"]
    assert command == [*serve, sys.executable, benchmark, "--dtype", "bfloat16", "--quick"]
    assert Path(script).is_file()
    assert os.environ["VLLM_CPU_NUM_OF_RESERVED_CPU"] == "1"
