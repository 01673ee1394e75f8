"""Drawn records are some of all, more of them with a larger limit, and of every population its share."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.data import Record, load_task
from modplural.data.drawing import drawn, part_of
from modplural.data.multiple_choice import MoralChoiceRecord


def scenario(number: int, attribute: str) -> MoralChoiceRecord:
    gold = [1.0, 0.0] if attribute == "low_ambiguity" else [0.5, 0.5]
    found = {"id": number, "question": f"{number}?", "options": ["I stay.", "I go."], "attribute": attribute}
    return MoralChoiceRecord.model_validate({**found, "gold_distribution": gold})


def sorted_by_ambiguity(low: int, high: int) -> list[Record]:
    kinds = ["low_ambiguity"] * low + ["high_ambiguity"] * high
    return [scenario(number, kind) for number, kind in enumerate(kinds)]


@given(low=st.integers(0, 40), high=st.integers(0, 40), limit=st.integers(1, 90), seed=st.integers(0, 99))
def test_every_population_has_its_share(low: int, high: int, limit: int, seed: int) -> None:
    records = sorted_by_ambiguity(low, high)
    found = drawn(records, limit, seed)
    assert found == sorted(set(found))
    assert len(found) == min(limit, low + high)
    if found:
        of_low = sum(place < low for place in found)
        assert of_low == pytest.approx(len(found) * low / (low + high), abs=1)
    assert set(found) <= set(drawn(records, limit + 1, seed))


def test_small_populations_do_not_come_together() -> None:
    whole = list(load_task("steerable-vk").records.values())
    values = Counter(part_of(record.example()) for record in whole)
    rare = {place for place, record in enumerate(whole) if values[part_of(record.example())] == 1}
    half = len(whole) // 2
    found = [len(rare & set(drawn(whole, half, seed))) / len(rare) for seed in range(20)]
    assert 0.4 < sum(found) / 20 < 0.6


def test_another_seed_draws_others() -> None:
    records = sorted_by_ambiguity(20, 20)
    assert drawn(records, 10, 0) == drawn(records, 10, 0) != drawn(records, 10, 1)
    assert min(len(set(places)) for places in [drawn(records, 10, seed) for seed in range(9)]) == 10


def test_a_limit_is_one_or_more() -> None:
    with pytest.raises(ValueError, match="limit is 0; it is a number of records, 1 or more"):
        drawn(sorted_by_ambiguity(1, 1), 0)
