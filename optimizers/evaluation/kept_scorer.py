"""A scorer whose scores are kept in the file of an evaluation: what takes long, or costs something, is done once."""

import hashlib
import json
from collections.abc import Mapping, Sequence

import numpy as np

from ..fingerprint import fingerprint
from ..metrics import JudgeScorer, NLIScorer, Scorer
from ..metrics.scorers import Memo, Scores
from .store import Store
from .usage import counting, usage_of


def kept_scorer(scorer: Scorer, store: Store, workers: int) -> Scorer:
    """The same scorer, with its scores kept where a further evaluation should not make them anew.

    Sentence embeddings are made in no time, and of a scorer of one's own nothing but its name tells whether it is still
    the same: both are left as they are.

    Args:
        scorer: Any scorer.
        store: Keeps scores, and what an LM was asked for them.
        workers: Pairs that an LM judges at the same time.
    """
    if isinstance(scorer, JudgeScorer):
        return _KeptScorer(_Judge(scorer, workers), store, {"scorer": scorer.name, **fingerprint(scorer.choice)})
    return _KeptScorer(scorer, store, {"scorer": scorer.name}) if isinstance(scorer, NLIScorer) else scorer


class _KeptScorer:
    """Scores like another scorer, the sentences of a response together."""

    def __init__(self, scorer: Scorer, store: Store, described: Mapping[str, str]) -> None:
        self.name = scorer.name
        self.lm = getattr(scorer, "lm", None)
        self._scorer = scorer
        self._store = store
        self._described = described

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        said = json.dumps([self._described, list(premises), list(hypotheses)], sort_keys=True)
        key = hashlib.sha256(said.encode()).hexdigest()
        kept = self._store.verdict(key)
        if kept is None:
            with counting() as tracker:
                kept = self._scorer.score(premises, hypotheses).tolist()
            self._store.keep_verdict(key, kept, usage_of(tracker))
        return np.array(kept, dtype=np.float64).reshape(len(premises), len(hypotheses))


class _Judge(JudgeScorer):
    """Judges like another judge, so many pairs at the same time."""

    def __init__(self, judge: JudgeScorer, workers: int) -> None:
        self.choice, self.name, self.lm, self._workers = judge.choice, judge.name, judge.lm, workers
        self._judged: Memo[tuple[str, str], float] = Memo(self._judge)
