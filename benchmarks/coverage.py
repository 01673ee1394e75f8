"""How much of what people value an answer takes up: the base alone, asked for pluralism, and with communities.

    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/coverage.py             # 60 situations; ten minutes
    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/coverage.py --seed 1    # another 60
    MODPLURAL_BENCHMARKS=... .venv/bin/python benchmarks/coverage.py --quick     # two, to see that it runs

On situations of a published benchmark file (Value Kaleidoscope) that the seed draws: vanilla and prompted, the messages
of the preset pools `personas` and `default` joined, and what the Overton mode makes of them by each synthesis. Value
coverage by sentence embeddings, for each method with its length, because coverage can be bought by length. So the
messages are also measured at the length of the prompted answer to the same situation: sentence by sentence from every
community in turn, as long as there is room.

Target: at equal length, the adapters' messages cover at least 10% more than the prompted answer. Fails where it is
missed; --quick judges nothing.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from engine import set_threads
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import dspy
    from rich.progress import Progress

    from modplural import CommunityPool
    from modplural.optimizers.metrics import Coverage
    from modplural.programs.program import Program

FOLDER, FILE = "MODPLURAL_BENCHMARKS", "overton_valuekaleidoscope.json"
MODEL, MAX_TOKENS = "local/smollm2-135m-instruct", 256
POOLS = {"personas": "personas", "adapters": "default"}
SYNTHESES = ("joint", "per_message", "refine")
JUDGED, BAR, TARGET = "adapters joined, at equal length", "prompted", 1.10
SITUATIONS, QUICK = 60, 2
AT_ONCE = 16

Responses = Mapping[str, Sequence[str]]
"""By method, one text per situation."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether the target was met."""
    options = _parser().parse_args(arguments)
    path = Path(os.environ.get(FOLDER, ""), FILE)
    if FOLDER not in os.environ or not path.is_file():
        print(f"{FOLDER} names the folder of the benchmark files; {FILE} is not there", file=sys.stderr)
        return os.EX_NOINPUT
    set_threads()
    # Heavy imports only now: torch reads what `set_threads` set when it is imported.
    from figures import progress_bars, quiet_libraries

    from modplural import local_lm
    from modplural.optimizers.metrics import EmbeddingScorer, coverage

    console = Console(width=min(100, Console().width))
    examples = situations(path, options.seed, QUICK if options.quick else SITUATIONS)
    base = local_lm(MODEL, max_tokens=MAX_TOKENS)
    with quiet_libraries(), progress_bars(console) as progress:
        said = dict(responses(base, [example.query for example in examples], progress))
    scorer = EmbeddingScorer()
    explanations = [example.explanation for example in examples]
    found = {method: coverage(texts, explanations, scorer) for method, texts in said.items()}
    console.print(_table(f"Value coverage of {len(examples)} situations, seed {options.seed}", found, options.seed))
    ratio = found[JUDGED].mean / found[BAR].mean
    console.print(f"{JUDGED}: {ratio:.2f} times {BAR}; target {TARGET:.2f}")
    return 0 if options.quick or ratio >= TARGET else 1


def situations(path: Path, seed: int, count: int) -> list[dspy.Example]:
    """Draw situations of a file, each with the explanations of its values."""
    from modplural.data.tasks import read_records

    return Random(seed).sample(read_records(path, "overton-vk").examples(), count)


def responses(base: dspy.LM, queries: Sequence[str], progress: Progress) -> Iterator[tuple[str, Sequence[str]]]:
    """Ask everybody, one method after the other; a pool's messages are kept for its syntheses by DSPy's cache."""
    from figures import stage

    from modplural import Overton, Prompted, Vanilla, open_pool

    yield "the question itself", queries  # similar to its values before anything is said about them
    yield "vanilla", _answers(Vanilla(base), queries, stage(progress, "vanilla", len(queries)))
    prompted = _answers(Prompted(base), queries, stage(progress, BAR, len(queries)))
    yield BAR, prompted
    for name, preset in POOLS.items():
        pool = open_pool(preset).pool
        messages = _messages(pool, queries, stage(progress, f"{name}: messages", len(queries)))
        yield f"{name} joined", [" ".join(texts) for texts in messages]
        yield (
            f"{name} joined, at equal length",
            [shortened(texts, len(answer.split())) for texts, answer in zip(messages, prompted, strict=True)],
        )
        for synthesis in SYNTHESES:
            program = Overton(base, pool, strategy=synthesis)
            advance = stage(progress, f"{name}: {synthesis}", len(queries))
            yield f"{name}, {synthesis}", _answers(program, queries, advance)


def shortened(texts: Sequence[str], words: int) -> str:
    """Whole sentences of several texts, the first of each, then the second of each, within a number of words."""
    from itertools import chain, zip_longest

    from modplural.optimizers.metrics import count_words, split_sentences

    kept: list[str] = []
    for sentence in filter(None, chain.from_iterable(zip_longest(*map(split_sentences, texts)))):
        if sum(map(count_words, [*kept, sentence])) > words:
            break
        kept.append(sentence)
    return " ".join(kept)


def _answers(program: Program, queries: Sequence[str], advance: Callable[[], None]) -> list[str]:
    return [prediction.response for prediction in _together(program, queries, advance)]


def _messages(pool: CommunityPool, queries: Sequence[str], advance: Callable[[], None]) -> list[list[str]]:
    return [[message.text for message in heard.messages] for heard in _together(pool, queries, advance)]


def _together(
    ask: Callable[[str], dspy.Prediction], queries: Sequence[str], advance: Callable[[], None]
) -> list[dspy.Prediction]:
    def one(query: str) -> dspy.Prediction:
        answer = ask(query)
        advance()
        return answer

    with ThreadPoolExecutor(AT_ONCE) as threads:
        return list(threads.map(one, queries))


def _table(title: str, found: Mapping[str, Coverage], seed: int) -> Table:
    from modplural.optimizers.metrics import COVERED, compare, mean_figure

    bar = found[BAR].situations.tolist()
    table = Table(title=f"{title}, scored by {found[BAR].scorer}", title_justify="left")
    table.add_column("method")
    for heading in ("words", "coverage", "95% interval", f"> {COVERED}", f"over {BAR}", "95% interval"):
        table.add_column(heading, justify="right")
    for method, one in found.items():
        figure = mean_figure(method, one.situations.tolist(), seed=seed)
        over = compare(one.situations.tolist(), bar, seed=seed)
        table.add_row(
            method,
            f"{one.mean_words:.0f}",
            f"{figure.value:.3f}",
            f"{figure.low:.3f} to {figure.high:.3f}",
            f"{one.covered:.0%}",
            "" if method == BAR else f"{over.difference:+.3f}",
            "" if method == BAR else f"{over.low:+.3f} to {over.high:+.3f}",
        )
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="How much of what people value an answer takes up.")
    parser.add_argument("--seed", type=int, default=0, help="of the choice of situations, and of the bootstrap")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} situations, no judgement")
    return parser


if __name__ == "__main__":
    sys.exit(main())
