"""What the six tasks are measured with; each metric in a file of its own."""

from .calibration import calibration_figure, expected_calibration_error, reliability
from .comparison import Comparison, compare, holm
from .coverage import COVERED, Coverage, coverage, value_coverage
from .distributions import MAX_DISTANCE, js_distance, js_divergence, most_likely_match
from .embedding import EmbeddingScorer
from .extras import MissingExtraError
from .figures import Figure, estimate, mean_figure
from .judge import JudgeScorer
from .nli import NLIScorer
from .pairwise import PairwiseJudge, PositionBias, Verdict, position_bias
from .scorers import Scorer
from .sentences import count_words, split_sentences, truncate_words
from .stance import stance_figures
from .task_metric import TaskMetric
from .tasks import TASK_METRICS, metric_for

__all__ = [
    "COVERED",
    "MAX_DISTANCE",
    "TASK_METRICS",
    "Comparison",
    "Coverage",
    "EmbeddingScorer",
    "Figure",
    "JudgeScorer",
    "MissingExtraError",
    "NLIScorer",
    "PairwiseJudge",
    "PositionBias",
    "Scorer",
    "TaskMetric",
    "Verdict",
    "calibration_figure",
    "compare",
    "count_words",
    "coverage",
    "estimate",
    "expected_calibration_error",
    "holm",
    "js_distance",
    "js_divergence",
    "mean_figure",
    "metric_for",
    "most_likely_match",
    "position_bias",
    "reliability",
    "split_sentences",
    "stance_figures",
    "truncate_words",
    "value_coverage",
]
