"""How faithful many responses are: a table of communities, with intervals.

This file must not know how one response is compared with its messages; see `faithfulness`.
"""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .faithfulness import Faithfulness, Reflection, Thresholds
from .metrics import Figure, mean_figure

NAN = float("nan")


@dataclass(frozen=True)
class CommunityFigures:
    """One community over many responses.

    Attributes:
        reflected: Mean reflection.
        said: Mean of how much of its message is said.
        taken: Mean of how much is taken from it.
        dropped: Share of the responses that dropped it.
        sentences: Mean number of sentences that it stands behind.
    """

    reflected: Figure
    said: Figure
    taken: Figure
    dropped: Figure
    sentences: Figure


@dataclass(frozen=True)
class FaithfulnessTable:
    """Many responses together.

    Attributes:
        scorer: The scorer's name.
        thresholds: As for each response.
        communities: The figures of each community, in the order of the messages.
        unsupported: Share of a response's sentences that nobody stands behind.
    """

    scorer: str
    thresholds: Thresholds
    communities: Mapping[str, CommunityFigures]
    unsupported: Figure


def faithfulness_table(
    found: Sequence[Faithfulness], groups: Sequence[Hashable] | None = None
) -> FaithfulnessTable | None:
    """Put many responses together.

    Args:
        found: One for each response, of one scorer and its thresholds.
        groups: For each response, the situation that it belongs to; each to one of its own where it is None.

    Returns:
        None where there is no response.

    Raises:
        ValueError: Scorers or thresholds differ, or there are more groups than responses, or fewer.
    """
    kinds = {(one.scorer, one.thresholds) for one in found}
    if len(kinds) > 1:
        raise ValueError(f"scores of different scorers or thresholds do not compare: {sorted(kinds)}")
    if not kinds:
        return None
    ((scorer, thresholds),) = kinds
    names = dict.fromkeys(reflection.community for one in found for reflection in one.reflections)
    alone = [
        float(np.mean([not part.communities for part in one.sentences])) if one.sentences else NAN for one in found
    ]
    unsupported = mean_figure("share of sentences without a community", alone, groups, scorer=scorer)
    return FaithfulnessTable(scorer, thresholds, {name: _community(name, found, groups) for name in names}, unsupported)


def _community(name: str, found: Sequence[Faithfulness], groups: Sequence[Hashable] | None) -> CommunityFigures:
    own = [(next((part for part in one.reflections if part.community == name), None), one) for one in found]

    def figure(title: str, measure: Callable[[Reflection, Faithfulness], float]) -> Figure:
        values = [NAN if part is None else float(measure(part, one)) for part, one in own]
        return mean_figure(title, values, groups, scorer=found[0].scorer)

    return CommunityFigures(
        reflected=figure("reflected", lambda part, _: part.score),
        said=figure("said", lambda part, _: part.said),
        taken=figure("taken", lambda part, _: part.taken),
        dropped=figure("dropped", lambda _, one: name in one.dropped),
        sentences=figure("sentences", lambda _, one: sum(name in part.communities for part in one.sentences)),
    )
