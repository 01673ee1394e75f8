"""Choices measured by likelihoods: of letters, of words, of verdicts, or of another input given each option.

Each strategy plans requests and reads replies; it never sends anything, so that sync and async calls share it. This
file must not know predictors, calibration or what a choice is for.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from string import ascii_uppercase

import dspy
import numpy as np

from .asking import CannotMeasureError
from .choice_prompt import ChoicePlan, ChoicePrompt, Scores, letter_prompts
from .engines.scoring import Likelihood, ScoreItem, Turn
from .measures import measure_for

_PROBES = (
    ("Is this good or bad?", "Good", "Bad"),
    ("Would you choose this?", "Yes", "No"),
    ("Is this true or false?", "True", "False"),
)
"""Questions asked of each option by itself, with the favourable and the unfavourable answer.

Their errors differ, so that their mean is better than any of them. These three were the best of 18 on half of the
low-ambiguity MoralChoice scenarios with SmolLM2-135M, and held on the other half.
"""

_CHANNEL_PROBE = "What is this about?"


def letters(lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
    """The probability of each option's letter, averaged over all rotations of the option order: one prompt for each.

    Small LMs favour a place in the list rather than an option; over the rotations every option stands in every place.
    """
    count = len(prompt.options)
    spellings = _spellings(*ascii_uppercase[:count])
    measure = measure_for(lm)
    rows = yield from measure.plan([ScoreItem(turns, spellings) for turns in letter_prompts(prompt)])
    by_place = np.array([_answers(lm, row, count) for row in rows])
    by_option = np.array([np.roll(row, shift) for shift, row in enumerate(by_place)])
    logits = np.logaddexp.reduce(by_option, axis=0) - math.log(count)
    return Scores(tuple(logits.tolist()), measure.method, _outside(logits))


def texts(lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
    """The likelihood of each option's own words, per token, so that long options are not punished: one prompt."""
    shown = [(demo.context, demo.options[demo.right]) for demo in prompt.demos]
    measure = measure_for(lm)
    item = ScoreItem(prompt.turns(prompt.context, shown), _spellings(*prompt.options))
    [row] = yield from measure.plan([item])
    texts = [_text(lm, option, row[2 * i : 2 * i + 2]) for i, option in enumerate(prompt.options)]
    outside = _outside([text.logprob for text in texts])
    return Scores(tuple(text.logprob / text.tokens for text in texts), measure.method, outside)


def verdicts(lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
    """For each option by itself, the log-odds of a favourable verdict: the mean over a few short prompts."""
    items = [
        ScoreItem(_judged(prompt, option, *probe), _spellings(*probe[1:]))
        for option in prompt.options
        for probe in _PROBES
    ]
    measure = measure_for(lm)
    rows = yield from measure.plan(items)
    answers = np.array([_answers(lm, row, 2) for row in rows])
    if not np.isfinite(answers).all():
        raise CannotMeasureError(lm.model, "it gives no probability at all to one of the verdicts on an option")
    odds = (answers[:, 0] - answers[:, 1]).reshape(len(prompt.options), len(_PROBES))
    outside = np.mean([_outside(row) for row in answers])
    return Scores(tuple(odds.mean(axis=1).tolist()), measure.method, float(outside))


def channel(lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
    """The likelihood of another input given each option by itself (noisy channel): one prompt for each option."""
    if not prompt.channel:
        raise ValueError("the strategy 'channel' compares the likelihood of an input; declare it, and give it a value")
    shown = [(_about(demo.options[demo.right]), demo.channel) for demo in prompt.demos if demo.channel]
    spellings = _spellings(prompt.channel)
    measure = measure_for(lm)
    rows = yield from measure.plan(
        [ScoreItem(prompt.turns(_about(option), shown), spellings) for option in prompt.options]
    )
    return Scores(tuple(_text(lm, prompt.channel, row).logprob for row in rows), measure.method)


def _judged(prompt: ChoicePrompt, option: str, question: str, favourable: str, unfavourable: str) -> tuple[Turn, ...]:
    """Turns that ask for a verdict on an option; each demo shows one on its right option and one on a wrong one."""
    shown = []
    for demo in prompt.demos:
        wrong = (demo.right + 1) % len(demo.options)
        for place, verdict in ((demo.right, favourable), (wrong, unfavourable)):
            shown.append((f"{demo.context}\n{demo.options[place]}\n{question}", verdict))
    return prompt.turns(f"{prompt.context}\n{option}\n{question}", shown)


def _about(option: str) -> str:
    return f"{option}\n\n{_CHANNEL_PROBE}"


def _spellings(*words: str) -> tuple[str, ...]:
    """Each word without and with a space before it: which of them a tokenizer makes the LM say depends on the model."""
    return tuple(spelling for word in words for spelling in (word, f" {word}"))


def _answers(lm: dspy.BaseLM, row: Sequence[Likelihood], count: int) -> list[float]:
    """Log-probabilities of one-token answers, each with its two spellings summed.

    An answer that a backend does not list has an upper bound only, which stands for it if all that is known is more.
    """
    known = _log_sum(score.logprob for score in row if not score.bounded)
    if known <= max((score.logprob for score in row if score.bounded), default=-math.inf):
        raise CannotMeasureError(lm.model, "too few of the expected answers are among the likeliest tokens it returned")
    pairs = [row[2 * place : 2 * place + 2] for place in range(count)]
    measured = [[score.logprob for score in pair if not score.bounded] for pair in pairs]
    return [
        _log_sum(found) if found else max(score.logprob for score in pair)
        for found, pair in zip(measured, pairs, strict=True)
    ]


def _text(lm: dspy.BaseLM, text: str, spellings: Sequence[Likelihood]) -> Likelihood:
    """The likelihood of a text with its spellings summed; as many tokens as the likeliest of them."""
    measured = [score for score in spellings if not score.bounded]
    if not measured:
        raise CannotMeasureError(lm.model, f"the likelihood of {text!r} could not be measured")
    return Likelihood(_log_sum(score.logprob for score in measured), max(measured).tokens)


def _log_sum(logprobs: Iterable[float]) -> float:
    """Logarithm of summed probabilities."""
    return float(np.logaddexp.reduce(list(logprobs), initial=-math.inf))


def _outside(logprobs: Iterable[float]) -> float:
    """The probability that is left; rounding, or texts that begin with one another, may make more than one of a sum."""
    return max(0.0, 1.0 - math.exp(_log_sum(logprobs)))
