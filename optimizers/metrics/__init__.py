"""What the six tasks are measured with; each metric in a file of its own."""

from .coverage import COVERED, Coverage, coverage, value_coverage
from .embedding import EmbeddingScorer
from .extras import MissingExtraError
from .scorers import Scorer
from .sentences import count_words, split_sentences, truncate_words

__all__ = [
    "COVERED",
    "Coverage",
    "EmbeddingScorer",
    "MissingExtraError",
    "Scorer",
    "count_words",
    "coverage",
    "split_sentences",
    "truncate_words",
    "value_coverage",
]
