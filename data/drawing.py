"""Drawing some of many records, so that every population has its share of them.

Records of a file differ by whom or what they are about, and so do scores: a draw in which the ambiguous scenarios
happen to be few would tell of the draw rather than of an answer. This file must not know tasks, scores or programs.
"""

from collections import defaultdict
from collections.abc import Sequence
from random import Random

import dspy

from .records import Record


def part_of(example: dspy.Example) -> str | None:
    """The population that an example is about; None where it is about nobody in particular."""
    part = example.get("group") or example.get("attribute")
    return None if part is None else str(part)


def drawn(records: Sequence[Record], limit: int, seed: int = 0) -> list[int]:
    """Draw records by the seed, in the same shares of populations as there are, up to one record.

    A larger limit draws the records of a smaller one and more, so that what was answered counts for both.

    Args:
        records: What is drawn from.
        limit: How many; all where there are no more.
        seed: Another one draws others.

    Returns:
        Places in `records`, ascending.

    Raises:
        ValueError: The limit is less than 1.
    """
    if limit < 1:
        raise ValueError(f"limit is {limit}; it is a number of records, 1 or more")
    random = Random(seed)
    populations: dict[str | None, list[int]] = defaultdict(list)
    for place in random.sample(range(len(records)), len(records)):
        populations[part_of(records[place].example())].append(place)
    # Each population is spread evenly over the order, from a place of its own, so that small ones do not come together.
    turns: dict[int, float] = {}
    for places in populations.values():
        first = random.random()
        turns.update((place, (turn + first) / len(places)) for turn, place in enumerate(places))
    return sorted(sorted(turns, key=turns.__getitem__)[:limit])
