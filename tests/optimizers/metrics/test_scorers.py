"""What scorers share: every key is computed once."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modplural.optimizers.metrics.scorers import Memo


def test_only_new_keys_are_computed_and_together() -> None:
    asked: list[list[str]] = []
    memo: Memo[str, int] = Memo(lambda keys: asked.append(keys) or [len(key) for key in keys])  # type: ignore[func-returns-value]
    assert memo.get(["a", "bb", "a"]) == [1, 2, 1]
    assert memo.get(["bb", "ccc"]) == [2, 3]
    assert asked == [["a", "bb"], ["ccc"]]


def test_threads_that_ask_for_the_same_wait_for_it() -> None:
    asked: list[str] = []

    def compute(keys: list[str]) -> list[str]:
        time.sleep(0.02)
        asked.extend(keys)
        return keys

    memo: Memo[str, str] = Memo(compute)
    threads = [threading.Thread(target=memo.get, args=(["a", "b"],)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == ["a", "b"]


def test_different_keys_are_computed_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=10)

    def compute(keys: list[str]) -> list[str]:
        both.wait()
        return keys

    memo: Memo[str, str] = Memo(compute)
    with ThreadPoolExecutor(2) as pool:
        assert sorted(key for found in pool.map(memo.get, (["a"], ["b"])) for key in found) == ["a", "b"]


def test_what_failed_is_tried_again() -> None:
    failures = [OSError("gone")]

    def compute(keys: list[str]) -> list[str]:
        if failures:
            raise failures.pop()
        return keys

    memo: Memo[str, str] = Memo(compute)
    with pytest.raises(OSError, match="gone"):
        memo.get(["a"])
    assert memo.get(["a"]) == ["a"]


@given(st.lists(st.lists(st.integers(0, 9), max_size=8), max_size=6), st.integers(0, 5))
def test_a_small_memory_forgets_and_still_answers(batches: list[list[int]], size: int) -> None:
    memo: Memo[int, int] = Memo(lambda keys: [key * key for key in keys], size)
    for batch in batches:
        assert memo.get(batch) == [key * key for key in batch]
        assert len(memo) <= size
