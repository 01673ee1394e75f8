"""How often each strategy of a measured choice is right, with the embedded LM on two published benchmark files.

    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/choice.py              # 100 questions each; twenty minutes
    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/choice.py --seed 1     # another 100
    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/choice.py --quick      # two each, to see that it runs

1. The explanation of a given value, among those of all values of a situation (Value Kaleidoscope). Asked of `select`,
   the predictor by which `Steerable` selects a message; the situation is worded as the file words it.
2. The moral action of two, where a scenario is not ambiguous (MoralChoice). Asked of `choose`, the predictor by which
   `Vanilla` chooses an option where there is no attribute; the question is the file's, without its lettered options.

Which records, which value, and the order of the options depend on the seed alone: in the second file the moral action
always comes first. Fails where a target is missed; --quick judges nothing.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from engine import set_threads
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import dspy
    from rich.progress import Progress

    from modplural.programs.choice import MeasuredChoice

MODEL = "local/smollm2-135m-instruct"
FOLDER = "MODPLURAL_BENCHMARKS"
VALUES, ACTIONS = "overton_valuekaleidoscope.json", "distributional_moralchoice.json"
STRATEGIES = ("letters", "texts", "verdicts", "channel")
AT_ONCE = 32


@dataclass(frozen=True)
class Size:
    """How much is asked.

    Attributes:
        questions: Questions of each kind.
        values: Situations with more values than this are left out; the time of `letters` grows with their square.
    """

    questions: int = 100
    values: int = 26  # as many as there are letters


QUICK = Size(questions=2, values=3)
"""Enough to see that everything runs; its figures say nothing."""


@dataclass(frozen=True)
class Choice:
    """One question: the inputs of the predictor, and the option that is right."""

    inputs: dict[str, Any]
    right: str


@dataclass(frozen=True)
class Row:
    """How often one strategy was right.

    Attributes:
        strategy: Its name, or that of a way without an LM: "chance", "shared words".
        scores: For each question 1 where it was right and 0 where not; between them where it has to guess.
        seconds: What all questions took; None without an LM.
        target: What the mean has to reach; None where the row is information.
    """

    strategy: str
    scores: tuple[float, ...]
    seconds: float | None = None
    target: float | None = None

    @property
    def mean(self) -> float:
        """The share of right choices."""
        return sum(self.scores) / len(self.scores)

    @property
    def met(self) -> bool:
        """Whether the target is met; true where there is none."""
        return self.target is None or self.mean >= self.target


@dataclass(frozen=True)
class Contest:
    """The strategies side by side on one predictor and the same questions; one of them has a target."""

    title: str
    predictor: MeasuredChoice
    choices: list[Choice]
    judged: str
    target: float

    def measure(self, lm: dspy.LM, progress: Progress) -> list[Row]:
        """Ask every question by every strategy, one strategy after the other."""
        from figures import stage

        _ask(lm, self.predictor, self.judged, self.choices[:1])  # loads the model
        rows = [Row("chance", tuple(1 / len(choice.inputs["options"]) for choice in self.choices))]
        if self.predictor.channel:
            rows.append(Row("shared words", shared_words(self.choices)))
        usable = self.predictor.strategies(lm)
        for strategy in (name for name in STRATEGIES if name in usable):
            advance = stage(progress, f"{self.title}: {strategy}", len(self.choices))
            start = time.perf_counter()
            scores = _ask(lm, self.predictor, strategy, self.choices, advance)
            seconds = time.perf_counter() - start
            rows.append(Row(strategy, scores, seconds, self.target if strategy == self.judged else None))
        return rows


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether all targets were met."""
    options = _parser().parse_args(arguments)
    folder = os.environ.get(FOLDER)
    missing = [name for name in (VALUES, ACTIONS) if not folder or not Path(folder, name).is_file()]
    if not folder or missing:
        found = f"{folder} lacks" if folder else "it is not set, and the benchmark needs"
        print(f"{FOLDER} names the folder of the benchmark files; {found} {' and '.join(missing)}", file=sys.stderr)
        return os.EX_NOINPUT
    set_threads()
    rows = list(measure(Path(folder), options.seed, QUICK if options.quick else Size()))
    return 0 if options.quick or all(row.met for row in rows) else 1


def measure(folder: Path, seed: int, size: Size) -> Iterator[Row]:
    """Measure both contests, printing the table of each as soon as it is there, and yield their rows."""
    # Heavy imports only now: torch reads what `set_threads` set when it is imported.
    from figures import progress_bars, quiet_libraries

    from modplural.programs.engines.local import local_lm

    console = Console(width=min(100, Console().width))
    lm = local_lm(MODEL, cache=False)  # what DSPy has cached takes no time
    try:
        for contest in _contests(lm, folder, seed, size):
            with quiet_libraries(), progress_bars(console) as progress:
                rows = contest.measure(lm, progress)
            console.print(_table(f"{contest.title}, seed {seed}", rows, seed))
            yield from rows
    finally:
        lm.engine.close()


def value_choices(path: Path, seed: int, size: Size) -> list[Choice]:
    """For each of some situations one value, the explanations of all its values, and the one that is right."""
    from modplural.data.tasks import read_records

    examples = read_records(path, "overton-vk").examples()
    fitting = [example for example in examples if 1 < len(example.vrd) <= size.values]
    random, choices = Random(seed), []
    for example in random.sample(fitting, size.questions):
        value, right = random.choice(list(zip(example.vrd, example.explanation, strict=True)))
        options = random.sample(example.explanation, len(example.explanation))
        choices.append(Choice({"query": example.query, "attribute": value, "options": options}, right))
    return choices


def action_choices(path: Path, seed: int, size: Size) -> list[Choice]:
    """For each of some scenarios that are not ambiguous its two actions, and the one that is right."""
    from modplural.data.tasks import read_records

    examples = read_records(path, "distributional-moralchoice").examples()
    fitting = [example for example in examples if 1.0 in example.gold_distribution.values()]
    random, choices = Random(seed), []
    for example in random.sample(fitting, size.questions):
        right = max(example.gold_distribution, key=example.gold_distribution.__getitem__)
        options = random.sample(example.options, len(example.options))
        choices.append(Choice({"query": example.query, "options": options}, right))
    return choices


def shared_words(choices: Sequence[Choice]) -> tuple[float, ...]:
    """How far words alone tell, with no LM: the option that shares most word beginnings with the attribute.

    A beginning is the first five letters of a word of four or more; options that tie share the point.
    """

    def beginnings(text: str) -> set[str]:
        return {word[:5] for word in re.findall(r"[a-z]{4,}", text.lower())}

    def score(choice: Choice) -> float:
        wanted = beginnings(choice.inputs["attribute"])
        shared = {option: len(wanted & beginnings(option)) for option in choice.inputs["options"]}
        best = [option for option, count in shared.items() if count == max(shared.values())]
        return (choice.right in best) / len(best)

    return tuple(map(score, choices))


def _contests(lm: dspy.LM, folder: Path, seed: int, size: Size) -> list[Contest]:
    from modplural.programs.baselines import Vanilla
    from modplural.programs.pool import CommunityPool
    from modplural.programs.steerable import Steerable

    values, actions = value_choices(folder / VALUES, seed, size), action_choices(folder / ACTIONS, seed, size)
    select = Steerable(lm, CommunityPool()).select
    return [
        Contest("Explanation of a value", select, values, "channel", 0.50),
        Contest("Moral action", Vanilla(lm).choose, actions, "verdicts", 0.85),
    ]


def _ask(
    lm: dspy.LM,
    predictor: MeasuredChoice,
    strategy: str,
    choices: Sequence[Choice],
    advance: Callable[[], None] = lambda: None,
) -> tuple[float, ...]:
    """Ask all questions at once from threads, so that they meet in the engine's batches; 1 for each right answer."""
    import dspy

    from modplural.programs.measurement import Measurement

    predictor = deepcopy(predictor)
    predictor.measurement = Measurement(strategy)

    def score(choice: Choice) -> float:
        with dspy.context(lm=lm):
            chosen = predictor(**choice.inputs).choice
        advance()
        return float(chosen == choice.right)

    with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
        return tuple(pool.map(score, choices))


def _table(title: str, rows: Sequence[Row], seed: int) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column("strategy")
    for heading in ("n", "right", "95% interval", "target", "met", "seconds"):
        table.add_column(heading, justify="right")
    for row in rows:
        measured = row.seconds is not None
        table.add_row(
            row.strategy,
            str(len(row.scores)),
            f"{row.mean:.1%}",
            "" if row.strategy == "chance" else _interval(row.scores, seed),
            "" if row.target is None else f"≥ {row.target:.0%}",
            "" if row.target is None else "[green]yes[/]" if row.met else "[bold red]no[/]",
            f"{row.seconds:.1f}" if measured else "",
        )
    return table


def _interval(scores: Sequence[float], seed: int) -> str:
    """The percentile bootstrap interval of the mean: unlike BCa it has a value where all scores are the same."""
    import numpy as np
    from scipy.stats import bootstrap

    found = bootstrap((scores,), np.mean, method="percentile", rng=np.random.default_rng(seed)).confidence_interval
    return f"{found.low:.0%} to {found.high:.0%}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How often each strategy of a measured choice is right.")
    parser.add_argument(
        "--seed", type=int, default=0, help="of the choice of questions, their options' order, the bootstrap"
    )
    parser.add_argument("--quick", action="store_true", help=f"{QUICK.questions} short questions each, no judgement")
    return parser


if __name__ == "__main__":
    sys.exit(main())
