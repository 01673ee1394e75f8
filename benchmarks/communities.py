"""Whether the communities that come along are communities: told apart by what they say, and each at home in its corpus.

    .venv/bin/python benchmarks/communities.py                    # some minutes on two cores
    .venv/bin/python benchmarks/communities.py --picture FILE     # and a picture of both figures
    .venv/bin/python benchmarks/communities.py --quick            # two situations, to see that it runs

On the situations that were held out from training:

1. Perplexity of each community's held-out comments under each community's adapter. Target: for five of six communities
   their own adapter is the best one, or within one per cent of the best.
2. Whether the community is told by its message: the nearest class centroid over sentence embeddings (cosine), with the
   centroids of all situations but the message's own. Target: 55% of the adapters' messages, where chance is one in six.
   The personas of the preset `personas` on the same base stand beside it.

Fails where a target is missed; --quick judges nothing.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from engine import set_threads
from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    import dspy
    import numpy as np
    from numpy.typing import NDArray

    from modplural import CommunityPool
    from modplural.data.corpus import Corpus

OWN_BEST, WITHIN = 5 / 6, 0.01
TOLD = 0.55
PERSONAS = "personas"
QUICK = 2
AT_ONCE = 8


@dataclass(frozen=True)
class Perplexities:
    """Perplexity per token of held-out comments.

    Attributes:
        names: The communities, in the order of rows and columns.
        values: Shape (communities, communities): of the column's comments under the row's adapter.
        base: Of each column's comments under the base without an adapter.
    """

    names: tuple[str, ...]
    values: NDArray[np.float64]
    base: NDArray[np.float64]

    @property
    def excess(self) -> NDArray[np.float64]:
        """How far each value is above the best of its column, as a share of it."""
        return self.values / self.values.min(axis=0) - 1

    @property
    def at_home(self) -> tuple[str, ...]:
        """The communities whose own adapter is the best on their comments, or nearly."""
        return tuple(name for name, over in zip(self.names, self.excess.diagonal(), strict=True) if over <= WITHIN)


@dataclass(frozen=True)
class Told:
    """Which community each message was taken for.

    Attributes:
        names: The communities, in the order of rows and columns.
        counts: Shape (communities, communities): messages of the row's community taken for the column's.
    """

    names: tuple[str, ...]
    counts: NDArray[np.int64]

    @property
    def share(self) -> float:
        """The share of messages that were taken for their own community's."""
        return float(self.counts.trace() / self.counts.sum())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmark; the exit code says whether all targets were met."""
    options = _parser().parse_args(arguments)
    set_threads()
    # Heavy imports only now: torch reads what `set_threads` set when it is imported.
    from figures import progress_bars, quiet_libraries, stage

    from modplural import open_pool

    console = Console(width=min(100, Console().width))
    trained, personas = open_pool().pool, open_pool(PERSONAS).pool
    corpora = held_out(trained, QUICK if options.quick else None)
    queries = next(iter(corpora.values())).queries
    with quiet_libraries(), progress_bars(console) as progress:
        found = perplexities(trained, corpora, stage(progress, "perplexity", len(corpora) * (len(corpora) + 1)))
        told = {
            pool: tell(said(communities, queries, stage(progress, f"messages of {pool}", len(queries))))
            for pool, communities in (("adapters", trained), (PERSONAS, personas))
        }
    _print(console, found, told)
    if options.picture:
        draw(found, told, options.picture)
        console.print(f"The picture is in {options.picture}.", markup=False)
    met = len(found.at_home) >= OWN_BEST * len(found.names) and told["adapters"].share >= TOLD
    return 0 if options.quick or met else 1


def held_out(pool: CommunityPool, limit: int | None) -> dict[str, Corpus]:
    """The comments of each community that were not trained on; on the first `limit` situations only, if given."""
    from importlib import resources

    from modplural import data
    from modplural.data.corpus import Corpus, read_corpus

    home = Path(str(resources.files(data))) / "communities"
    corpora = {community.name: read_corpus(home / community.name / "held_out.jsonl") for community in pool}
    return {name: Corpus(corpus.comments[:limit], corpus.source) for name, corpus in corpora.items()}


def perplexities(pool: CommunityPool, corpora: dict[str, Corpus], advance: Callable[[], None]) -> Perplexities:
    """Measure every corpus under every community's LM, and under the base that they share."""
    import numpy as np

    from modplural import local_lm

    base = local_lm(next(iter(pool)).lm.engine.dump_state()["model"])
    lms = [*(community.lm for community in pool), base]

    def row(lm: dspy.LM) -> list[float]:
        found = []
        for corpus in corpora.values():
            found.append(_perplexity(lm, corpus))
            advance()
        return found

    with ThreadPoolExecutor(len(lms)) as together:
        rows = np.array(list(together.map(row, lms)))
    return Perplexities(tuple(corpora), rows[:-1], rows[-1])


def _perplexity(lm: dspy.LM, corpus: Corpus) -> float:
    """Of all comments of a corpus together, per token, after the prompt that a community is asked with."""
    from modplural.programs.adapters import PlainAdapter
    from modplural.programs.engines.scoring import ScoreItem, Turn, read_scores, score_request
    from modplural.signatures.community import Comment

    asked = partial(PlainAdapter().format, Comment, [])
    items = [
        ScoreItem(
            tuple(Turn(turn["role"], turn["content"]) for turn in asked({"query": comment.query})), (comment.message,)
        )
        for comment in corpus.comments
    ]
    scores = [row[0] for row in read_scores(lm(score_request(lm.model, items)))]
    return math.exp(-sum(score.logprob for score in scores) / sum(score.tokens for score in scores))


def said(pool: CommunityPool, queries: Sequence[str], advance: Callable[[], None]) -> dict[str, list[str]]:
    """What each community says about each query, in the order of the queries."""

    def ask(query: str) -> list[str]:
        messages = [message.text for message in pool(query).messages]
        advance()
        return messages

    with ThreadPoolExecutor(AT_ONCE) as together:
        rows = list(together.map(ask, queries))
    return {community.name: [row[place] for row in rows] for place, community in enumerate(pool)}


def tell(messages: dict[str, list[str]]) -> Told:
    """Tell each message's community by the nearest centroid of the messages on all other queries."""
    import numpy as np

    from modplural.optimizers.metrics import EmbeddingScorer

    embed = EmbeddingScorer().embed
    vectors = np.array([embed(texts) for texts in messages.values()])
    others = vectors.sum(axis=1, keepdims=True) - vectors
    others /= np.linalg.norm(others, axis=2, keepdims=True)
    taken = np.einsum("cqd,kqd->cqk", vectors, others).argmax(axis=2)
    count = len(messages)
    return Told(tuple(messages), np.array([np.bincount(row, minlength=count) for row in taken]))


def draw(found: Perplexities, told: dict[str, Told], path: Path) -> None:
    """Draw the matrix of perplexities, and who was taken for whom."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, 1 + len(told), figsize=(5.2 * (1 + len(told)), 5), layout="constrained")
    _matrix(axes[0], found.names, found.excess, found.values, "{:.1f}", "viridis_r")
    axes[0].set(title="Perplexity of held-out comments", xlabel="comments of", ylabel="adapter of")
    for axis, (pool, one) in zip(axes[1:], told.items(), strict=True):
        _matrix(axis, one.names, one.counts, one.counts, "{:d}", "viridis")
        axis.set(title=f"Messages told apart, {pool}: {one.share:.0%}", xlabel="taken for", ylabel="written by")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _matrix(
    axis: object, names: Sequence[str], shade: NDArray[np.generic], values: NDArray[np.generic], form: str, colours: str
) -> None:
    from sklearn.metrics import ConfusionMatrixDisplay

    shown = ConfusionMatrixDisplay(shade, display_labels=names)
    shown.plot(ax=axis, cmap=colours, colorbar=False, xticks_rotation=45)
    for text, value in zip(shown.text_.ravel(), values.ravel(), strict=True):
        text.set_text(form.format(value))


def _print(console: Console, found: Perplexities, told: dict[str, Told]) -> None:
    table = Table(title="Perplexity of held-out comments", title_justify="left")
    table.add_column("adapter \\ comments of")
    for name in found.names:
        table.add_column(name, justify="right")
    for place, (name, row, over) in enumerate(zip(found.names, found.values, found.excess, strict=True)):
        cells = (f"[bold]{value:.1f}[/]" if place == column else f"{value:.1f}" for column, value in enumerate(row))
        del over
        table.add_row(name, *cells)
    table.add_row("none", *(f"{value:.1f}" for value in found.base))
    console.print(table)
    target = round(OWN_BEST * len(found.names))
    console.print(
        f"At home: the own adapter is the best, or within {WITHIN:.0%}, for {len(found.at_home)} of"
        f" {len(found.names)} communities ({', '.join(found.at_home) or 'none'}); target {target}.\n"
    )
    table = Table(title="Messages on held-out situations, told apart by sentence embeddings", title_justify="left")
    for heading in ("messages of", "n", "right", "target"):
        table.add_column(heading, justify="left" if heading == "messages of" else "right")
    table.add_row("chance", "", f"{1 / len(found.names):.0%}", "")
    for pool, one in told.items():
        table.add_row(pool, str(one.counts.sum()), f"{one.share:.0%}", f"≥ {TOLD:.0%}" if pool == "adapters" else "")
    console.print(table)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Whether the communities that come along are communities.")
    parser.add_argument("--picture", type=Path, metavar="FILE", help="write a picture of both figures")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK} situations, no judgement")
    return parser


if __name__ == "__main__":
    sys.exit(main())
