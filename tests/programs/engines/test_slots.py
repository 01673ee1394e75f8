"""The cache's book-keeping: rows keep their states while others come and go, and memory grows and goes with them."""

import resource
import sys
from pathlib import Path

import pytest
import torch

from modplural.programs.engines.slots import SlotCache

CPU = torch.device("cpu")


def states(*rows: list[float]) -> torch.Tensor:
    """Keys of one head of size one: shape (rows, 1, tokens, 1)."""
    return torch.tensor(rows)[:, None, :, None]


def write(cache: SlotCache, values: torch.Tensor) -> torch.Tensor:
    """Write the same keys and values into every layer; what the last layer lets be seen."""
    for layer in cache.layers:
        keys, _ = layer.update(values, values)
    return keys[:, 0, :, 0]


def test_rows_join_grow_and_leave() -> None:
    cache = SlotCache(2, CPU)
    cache.reserve(2, 4)
    cache.append([3, 1])
    assert write(cache, states([1, 2, 3], [9, 0, 0])).tolist() == [[1, 2, 3], [9, 0, 0]]

    positions, mask = cache.extend()
    assert positions.tolist() == [[3], [1]]
    assert mask[:, 0, 0].tolist() == [[True] * 4, [True, True, False, False]]
    assert write(cache, states([4], [8])).tolist() == [[1, 2, 3, 4], [9, 8, 0, 0]]

    cache.reserve(3, 100)
    cache.append([2])
    write(cache, states([5, 6]))
    cache.drop(0)
    assert cache.lengths == [2, 2]
    cache.extend()
    assert write(cache, states([7], [70])).tolist() == [[5, 6, 7], [9, 8, 70]]


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({"max_rows": 9, "max_cells": 64 * 6}, [1, 2, 4, 4, 6, 6, 7, 8]),
        ({"max_rows": 5, "max_cells": 64 * 99}, [1, 2, 4, 4, 5, 6, 7, 8]),
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_room_doubles_as_far_as_rows_and_cells_allow(limits: dict[str, int], sizes: list[int]) -> None:
    cache = SlotCache(1, torch.device("meta"), **limits)
    found = []
    for rows in range(1, 9):
        cache.reserve(rows, 40)
        found.append(cache.slots)
    assert found == sizes


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        ({"max_rows": 9, "max_cells": 64 * 6}, [6, 6, 6, 6, 6, 6, 7, 8]),
        ({"max_rows": 5, "max_cells": 64 * 99}, [5, 5, 5, 5, 5, 6, 7, 8]),
        ({}, [1, 2, 3, 4, 5, 6, 7, 8]),
    ],
)
def test_on_a_cpu_there_is_room_for_all_at_once(limits: dict[str, int], sizes: list[int]) -> None:
    cache = SlotCache(1, CPU, **limits)
    found = []
    for rows in range(1, 9):
        cache.reserve(rows, 40)
        cache.append([1])
        write(cache, states([1]))
        found.append(cache.slots)
    assert found == sizes


def test_memory_of_a_cpu_is_taken_where_rows_are_written() -> None:
    before = resident()
    cache = SlotCache(1, CPU, max_rows=1000, max_cells=10**8)
    cache.reserve(1, 50_000)
    cache.append([1])
    write(cache, torch.ones(1, 1, 1, 1))
    [layer] = cache.layers
    assert layer.keys.nbytes + layer.values.nbytes > 390 * 10**6
    assert resident() - before < 100 * 10**6


def resident() -> int:
    """Bytes of this process that are in memory."""
    if sys.platform != "linux":
        pytest.skip("reads /proc")
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def test_rows_grow_longer_by_halves_as_far_as_the_cells_allow() -> None:
    cache = SlotCache(1, CPU, max_rows=2, max_cells=2 * 700)
    lengths = []
    for length in (200, 300, 400, 500, 700, 900):
        cache.reserve(2, length)
        lengths.append(cache.length)
    assert lengths == [256, 384, 576, 576, 704, 960]


def test_an_empty_cache_holds_no_memory() -> None:
    cache = SlotCache(1, CPU)
    cache.reserve(2, 1000)
    cache.append([1, 1])
    write(cache, states([1], [2]))
    cache.drop(0)
    cache.drop(0)
    [layer] = cache.layers
    assert (cache.rows, cache.slots, layer.keys.numel()) == (0, 0, 0)

    cache.reserve(1, 10)
    cache.append([1])
    write(cache, states([5]))
    cache.extend()
    assert write(cache, states([6])).tolist() == [[5, 6]]


def test_growth_that_fails_half_way_is_made_good_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = SlotCache(2, CPU)
    cache.reserve(1, 10)
    cache.append([2])
    write(cache, states([1, 2]))
    with monkeypatch.context() as patch:
        patch.setattr(cache.layers[1], "resize", out_of_memory)
        with pytest.raises(MemoryError):
            cache.reserve(8, 500)
    cache.reserve(2, 100)
    cache.append([1])
    write(cache, states([9]))
    cache.extend()
    assert write(cache, states([3], [8])).tolist() == [[1, 2, 3], [9, 8, 0]]


def out_of_memory(*args: object) -> None:
    raise MemoryError("no room")
