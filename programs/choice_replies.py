"""Choices read out of what an LM says, for backends that tell no likelihoods: letters drawn, or numbers written down.

What cannot be read counts as no answer: nothing is guessed from a reply. This file must not know predictors,
calibration or what a choice is for.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Any

import dspy
from dspy.lm15 import Config, Response

from .asking import Ask, CannotMeasureError, chat_request
from .choice_prompt import ChoicePlan, ChoicePrompt, Scores, letter_prompts, letterable, lettered
from .engines.scoring import Turn

_DRAWS = 10
_LETTER_TOKENS, _LINE_TOKENS = 16, 12
_NUMBER_REQUEST = "How likely is each option? Write one line for each, such as 'A: 40%'. The numbers add up to 100%."

_STATED = re.compile(
    r"""
    (?: ^                                                   # at the start of a line, or after a word that announces it
      | (?<!not\ ) (?<!n't\ ) (?<!never\ )
        \b(?i:answer|choice|choose|option|pick|select) (?:\s+(?i:is|would\ be|option))* \b
    )
    [^\w\n]* ([A-Z])
    (?= [^\w\n]*$ | [.:)\]*] | \s+[-\u2013\u2014]\s )       # not the first letter, or all, of a word: "A lie is wrong"
    """,
    re.MULTILINE | re.VERBOSE,
)
_NAMED = re.compile(r"\b(?i:option)\s+([A-Z])\b|\(([A-Z])\)")
"""A letter named in any way, to tell "option A is better than option B" from an answer."""
_NUMBERED = re.compile(r"^[^\w\n]*([A-Z])[^\w\n]+?(?<![-\u2212])(\d+(?:\.\d+)?|\.\d+)\s*%?[^\w\n]*$", re.MULTILINE)


def sampled(lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
    """How often each option's letter is said in ten draws or more, each with its seed; all rotations equally often."""
    count = len(prompt.options)
    prompts = letter_prompts(prompt) * math.ceil(_DRAWS / count)
    replies = yield [
        _ask(lm, turns, max_tokens=_LETTER_TOKENS, temperature=1.0, seed=seed) for seed, turns in enumerate(prompts)
    ]
    places = [stated_letter(reply, count) for reply in replies]
    drawn = Counter((place + draw) % count for draw, place in enumerate(places) if place is not None)
    if not drawn:
        raise _unreadable(lm, f"none of its {len(replies)} replies names one option by its letter", replies[0])
    logits = tuple(_log(drawn[place]) for place in range(count))
    return Scores(logits, "sampling", 1 - drawn.total() / len(replies))


def verbalized(lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
    """A distribution that the LM writes down, scaled to a sum of one: one prompt; for LMs that follow a format."""
    count = len(prompt.options)
    demos = letterable(prompt.demos)
    shown = [(lettered(d.context, d.options, _NUMBER_REQUEST), _certain(len(d.options), d.right)) for d in demos]
    question = lettered(prompt.context, prompt.options, _NUMBER_REQUEST)
    [reply] = yield [_ask(lm, prompt.turns(question, shown), max_tokens=_LINE_TOKENS * count, temperature=0.0)]
    numbers = written_numbers(reply, count)
    if numbers is None:
        raise _unreadable(lm, f"it does not write one number for each of {count} options, above zero in sum", reply)
    return Scores(tuple(map(_log, numbers)), "verbalized")


def stated_letter(reply: str, count: int) -> int | None:
    """The place of the one letter, of the first `count`, that a reply gives as its answer; None for none or several.

    A letter counts at the start of a line, or after a word such as "answer" or "option", if it is no part of a word and
    no word itself: "B", "(B)", "B. Tea", "The answer is **B**", but not "A cup of tea" or "Answer: tea".
    """
    stated = set(_STATED.findall(reply))
    named = {letter for pair in _NAMED.findall(reply) for letter in pair if letter}
    letter = stated.pop() if len(stated) == 1 and len(stated | named) == 1 else ""
    place = ascii_uppercase.find(letter) if letter else -1
    return place if 0 <= place < count else None


def written_numbers(reply: str, count: int) -> list[float] | None:
    """The numbers a reply gives the first `count` letters, each on a line of its own; None unless all have just one."""
    written = _NUMBERED.findall(reply)
    if sorted(letter for letter, _ in written) != list(ascii_uppercase[:count]):
        return None
    numbers = [float(number) for _, number in sorted(written)]
    return numbers if any(numbers) else None


def _ask(lm: dspy.BaseLM, turns: Sequence[Turn], **settings: Any) -> Ask:
    """A request for a reply. LMs that reason first refuse some of these settings, and would use the tokens up on it."""
    config = Config(seed=settings.get("seed")) if lm.supports_reasoning else Config(**settings)
    return Ask(chat_request(lm.model, turns, config), _read)


def _certain(count: int, right: int) -> str:
    return "\n".join(f"{ascii_uppercase[place]}: {100 * (place == right)}%" for place in range(count))


def _unreadable(lm: dspy.BaseLM, problem: str, reply: str) -> CannotMeasureError:
    return CannotMeasureError(lm.model, f"{problem}; it said {reply[:200]!r}", "other strategies may serve")


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _read(response: Response) -> str:
    return response.message.text or ""
