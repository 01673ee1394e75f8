"""A judge whose verdicts are kept in the file of an evaluation, so that none is asked for twice."""

import hashlib
import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextvars import copy_context
from dataclasses import astuple
from typing import NamedTuple

from ..fingerprint import fingerprint
from ..metrics import PairwiseJudge, Verdict
from ..metrics.scorers import Memo
from .store import Store
from .usage import counting, usage_of


class Pair(NamedTuple):
    """What is judged: a response against a baseline's, to one query."""

    query: str
    response: str
    baseline: str


class KeptJudge(PairwiseJudge):
    """Judges like another judge, each pair once and for all, and counts what that takes."""

    def __init__(self, judge: PairwiseJudge, store: Store) -> None:
        """Keep the verdicts of `judge` in `store`."""
        self.choice, self.name, self.lm = judge.choice, judge.name, judge.lm
        self._judged: Memo[tuple[str, str, str], float] = Memo(self._judge)
        self._store = store
        self._described = {"judge": judge.name, **fingerprint(judge.choice)}

    def compare(self, query: str, response: str, baseline: str) -> Verdict:
        """The verdict that was kept, or a new one; see `PairwiseJudge.compare`."""
        said = json.dumps([self._described, query, response, baseline], sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()
        kept = self._store.verdict(key)
        if kept is None:
            with counting() as tracker:
                kept = astuple(super().compare(query, response, baseline))
            self._store.keep_verdict(key, kept, usage_of(tracker))
        return Verdict(*kept)

    def prepare(self, pairs: Iterable[Pair], workers: int, on_verdict: Callable[[int], None]) -> None:
        """Judge many pairs at the same time, so that an engine can batch them; `on_verdict` is told how many are.

        A pair that the judge fails on is left for whoever compares it.
        """
        with ThreadPoolExecutor(workers, thread_name_prefix="modplural-judge") as pool:
            futures = [
                pool.submit(copy_context().run, self.compare, pair.query, pair.response, pair.baseline)
                for pair in pairs
            ]
            try:
                for number, future in enumerate(as_completed(futures), start=1):
                    failure = future.exception()
                    if failure is not None and not isinstance(failure, Exception):
                        raise failure
                    on_verdict(number)
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
