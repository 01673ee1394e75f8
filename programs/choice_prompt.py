"""What every way to measure a choice is given, and what it gives back.

This file knows prompts and numbers; it must not know predictors, nor how anything is measured.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any

from .asking import Ask
from .engines.scoring import Turn


@dataclass(frozen=True)
class ChoiceDemo:
    """A solved choice: its inputs as text, its options, the place of the right one, and the text for `channel`."""

    context: str
    options: tuple[str, ...]
    right: int
    channel: str | None = None


@dataclass(frozen=True)
class ChoicePrompt:
    """What is asked.

    Attributes:
        instructions: The system turn.
        context: The inputs as text, without the options.
        options: What can be chosen, each on one line, so that none of them can look like several.
        demos: Solved choices to show first.
        channel: The text whose likelihood the `channel` strategy compares; None where there is none.
    """

    instructions: str
    context: str
    options: tuple[str, ...]
    demos: tuple[ChoiceDemo, ...] = ()
    channel: str | None = None

    def turns(self, question: str, shown: Sequence[tuple[str, str]] = ()) -> tuple[Turn, ...]:
        """Chat turns that ask a question after the demos, given as pairs of question and answer."""
        earlier = [turn for asked, said in shown for turn in (Turn("user", asked), Turn("assistant", said))]
        return (Turn("system", self.instructions), *earlier, Turn("user", question))


@dataclass(frozen=True)
class Scores:
    """What was measured.

    Attributes:
        logits: One score per option, natural logarithm up to a common constant; -inf for an option never seen.
        method: How the backend measured.
        outside: Probability that fell on none of the options, where the strategy has such a thing.
    """

    logits: tuple[float, ...]
    method: str
    outside: float | None = None


ChoicePlan = Generator[list[Ask], Any, Scores]
"""Yields requests round by round, is sent what was read from their replies, and returns the scores."""


def letter_prompts(prompt: ChoicePrompt) -> list[tuple[Turn, ...]]:
    """Turns that ask for an option's letter, in every rotation of the options, so that each stands in each place once.

    In rotation r, the option in place p is `options[(p + r) % len(options)]`.

    Raises:
        ValueError: There are more options than letters.
    """
    shown = [(_lettered(demo.context, demo.options), ascii_uppercase[demo.right]) for demo in letterable(prompt.demos)]
    rotations = [prompt.options[shift:] + prompt.options[:shift] for shift in range(len(prompt.options))]
    return [prompt.turns(_lettered(prompt.context, options), shown) for options in rotations]


def letterable(demos: Sequence[ChoiceDemo]) -> list[ChoiceDemo]:
    """The demos that have no more options than there are letters; the others are left out where letters are shown."""
    return [demo for demo in demos if len(demo.options) <= len(ascii_uppercase)]


def lettered(context: str, options: Sequence[str], request: str) -> str:
    """A question with its options as a lettered list, and the form of the answer.

    Raises:
        ValueError: There are more options than letters.
    """
    if len(options) > len(ascii_uppercase):
        raise ValueError(
            f"there are {len(options)} options and 26 letters; measure by 'verdicts', 'texts' or 'channel'"
        )
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([context, "", *lines, "", request])


def _lettered(context: str, options: Sequence[str]) -> str:
    return lettered(context, options, "Answer with the letter of one option.")
