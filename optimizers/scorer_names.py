"""Scorers and judges by the names that a command line has for them, such as `nli:microsoft/deberta-v2-xlarge-mnli`."""

import dspy
from pydantic import ValidationError

from ..programs.config import LMConfig
from ..programs.lms import build_lm
from .metrics import EmbeddingScorer, JudgeScorer, NLIScorer, PairwiseJudge, Scorer
from .metrics.embedding import DEFAULT_MODEL
from .metrics.nli import PAPER_MODEL

_VALID = (
    "embedding, embedding:<hub id or folder>, nli (the paper's model), nli:<hub id or folder>, and judge:<model>, such"
    " as judge:openai/<name>"
)


def scorer_named(name: str) -> Scorer:
    """Make the scorer of a name; its model is loaded when something is scored.

    Args:
        name: `embedding`, `nli` or `judge`, and after a colon the model. The first two have a default model.

    Raises:
        ValueError: There is no such scorer; the message lists those there are.
    """
    kind, _, model = name.partition(":")
    if kind == "embedding":
        return EmbeddingScorer(model or DEFAULT_MODEL)
    if kind == "nli":
        return NLIScorer(model or PAPER_MODEL)
    return JudgeScorer(_judge_lm(name))


def judge_named(name: str) -> PairwiseJudge:
    """Make the judge of a name, for `overton-judge`.

    Args:
        name: `judge:` and a model.

    Raises:
        ValueError: The name is another one.
    """
    return PairwiseJudge(_judge_lm(name))


def _judge_lm(name: str) -> dspy.LM:
    kind, _, model = name.partition(":")
    if kind != "judge" or not model:
        raise ValueError(f"unknown scorer {name!r}; the scorers are {_VALID}")
    try:
        return build_lm(LMConfig(model=model))
    except ValidationError as error:
        raise ValueError(f"the scorer {name!r}: {error.errors()[0]['msg']}") from error
