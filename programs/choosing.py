"""Ways to measure a choice: each turns a prompt and its options into questions, and their answers into one score an option.

A strategy plans requests and reads replies; it never sends anything, so that sync and async calls share it. This file
knows prompts and likelihoods; it must not know predictors, calibration or what a choice is for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, ClassVar, Protocol

import dspy
from dspy.lm15 import Config, Response

from .asking import Ask, CannotMeasureError, chat_request
from .engines.scoring import Likelihood, ScoreItem, Turn
from .measures import measure_for

_MOST_ROTATIONS = 6
_DRAWS = 10
_PROBES = (
    ("Is this right?", "Yes", "No"),
    ("Do you agree with this?", "Yes", "No"),
    ("Is this good or bad?", "Good", "Bad"),
)
"""Three questions asked of each option by itself; their errors differ, so their mean is better than any of them."""

_CHANNEL_PROBE = "Which value is this about?"


@dataclass(frozen=True)
class ChoiceDemo:
    """A solved choice: its inputs as text, its options, and the place of the right one."""

    context: str
    options: tuple[str, ...]
    right: int
    attribute: str | None = None


@dataclass(frozen=True)
class ChoicePrompt:
    """What is asked.

    Attributes:
        instructions: The system turn.
        context: The inputs as text, without the options.
        options: What can be chosen.
        demos: Solved choices to show first.
        attribute: Text of the input whose likelihood the `channel` strategy compares.
    """

    instructions: str
    context: str
    options: tuple[str, ...]
    demos: tuple[ChoiceDemo, ...] = ()
    attribute: str | None = None

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


class Strategy(Protocol):
    """One way to measure a choice.

    Attributes:
        needs: What the backend must measure: "next_token", "continuation", or nothing.
    """

    needs: ClassVar[str | None]

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """Plan the requests for a prompt and read their replies."""


class Letters:
    """The probability of each option's letter, averaged over rotations of the option order.

    Small LMs favour a place in the list rather than an option; over the rotations every option stands in every place.
    """

    needs = "next_token"

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """One prompt for each rotation."""
        count = _lettered_count(prompt)
        shifts = range(0, count, -(-count // _MOST_ROTATIONS))
        letters = ascii_uppercase[:count]
        spellings = tuple(text for letter in letters for text in (letter, f" {letter}"))
        shown = [(_lettered(demo.context, demo.options), ascii_uppercase[demo.right]) for demo in prompt.demos]
        items = []
        for shift in shifts:
            rotated = prompt.options[shift:] + prompt.options[:shift]
            items.append(ScoreItem(prompt.turns(_lettered(prompt.context, rotated), shown), spellings))
        measure = measure_for(lm)
        rows = yield from measure.plan(items)
        mass = [0.0] * count
        for shift, row in zip(shifts, rows, strict=True):
            _check_measured(lm, row)
            for place in range(count):
                mass[(place + shift) % count] += math.exp(_log_sum(row[2 * place : 2 * place + 2])) / len(shifts)
        return Scores(tuple(map(_log, mass)), measure.method, max(0.0, 1 - math.fsum(mass)))


class Texts:
    """The likelihood of each option's own words, per token, so that long options are not punished."""

    needs = "continuation"

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """One prompt, with every option as a continuation."""
        shown = [(demo.context, demo.options[demo.right]) for demo in prompt.demos]
        measure = measure_for(lm)
        (row,) = yield from measure.plan([ScoreItem(prompt.turns(prompt.context, shown), prompt.options)])
        inside = math.fsum(math.exp(score.logprob) for score in row)
        return Scores(tuple(score.logprob / score.tokens for score in row), measure.method, max(0.0, 1 - inside))


class Verdicts:
    """For each option by itself, the log-odds of a favourable verdict, over three ways to ask for one."""

    needs = "next_token"

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """Three short prompts for each option."""
        items = [
            ScoreItem(self._turns(prompt, option, probe), _spellings(probe[1]) + _spellings(probe[2]))
            for option in prompt.options
            for probe in _PROBES
        ]
        measure = measure_for(lm)
        rows = yield from measure.plan(items)
        for row in rows:
            _check_measured(lm, row)
        odds = [_log_sum(row[:2]) - _log_sum(row[2:]) for row in rows]
        inside = math.fsum(math.exp(_log_sum(row)) for row in rows) / len(rows)
        size = len(_PROBES)
        logits = tuple(math.fsum(odds[size * i : size * (i + 1)]) / size for i in range(len(prompt.options)))
        return Scores(logits, measure.method, max(0.0, 1 - inside))

    def _turns(self, prompt: ChoicePrompt, option: str, probe: tuple[str, str, str]) -> tuple[Turn, ...]:
        question, favourable, unfavourable = probe
        shown = []
        for demo in prompt.demos:
            wrong = (demo.right + 1) % len(demo.options)
            for place, answer in ((demo.right, favourable), (wrong, unfavourable)):
                shown.append((f"{demo.context}\n{demo.options[place]}\n{question}", answer))
        return prompt.turns(f"{prompt.context}\n{option}\n{question}", shown)


class Channel:
    """The likelihood of the attribute given each option by itself: which option makes it most likely (noisy channel)."""

    needs = "continuation"

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """One prompt for each option, with the attribute as its continuation."""
        if prompt.attribute is None:
            raise ValueError(
                "the strategy 'channel' needs an input to compare; this predictor declares no `channel` field"
            )
        shown = [
            (f"{demo.options[demo.right]}\n\n{_CHANNEL_PROBE}", demo.attribute)
            for demo in prompt.demos
            if demo.attribute
        ]
        items = [
            ScoreItem(prompt.turns(f"{option}\n\n{_CHANNEL_PROBE}", shown), (prompt.attribute,))
            for option in prompt.options
        ]
        measure = measure_for(lm)
        rows = yield from measure.plan(items)
        return Scores(tuple(row[0].logprob for row in rows), measure.method)


class Sampled:
    """How often each option's letter is said in a number of draws; works with any LM."""

    needs = None

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """Ten draws, each with its own seed and rotation of the options."""
        count = _lettered_count(prompt)
        asks = []
        for draw in range(_DRAWS):
            shift = draw % count
            rotated = prompt.options[shift:] + prompt.options[:shift]
            config = Config(max_tokens=16, temperature=1.0, seed=draw)
            asks.append(Ask(chat_request(lm.model, prompt.turns(_lettered(prompt.context, rotated)), config), _reply))
        replies = yield asks
        said = [_letter_said(reply, count) for reply in replies]
        counts = [0] * count
        for draw, place in enumerate(said):
            if place is not None:
                counts[(place + draw % count) % count] += 1
        if not any(counts):
            raise CannotMeasureError(lm.model, f"none of {_DRAWS} draws named an option; one said {replies[0]!r}")
        return Scores(tuple(_log(n) for n in counts), "sampling", said.count(None) / _DRAWS)


class Verbalized:
    """A distribution that the LM writes down; works with LMs that follow a format."""

    needs = None
    _LINE: ClassVar = re.compile(r"^\W*([A-Z])\W*[:=.)-]\W*(\d+(?:\.\d+)?)\s*%?", re.MULTILINE)

    def plan(self, lm: dspy.BaseLM, prompt: ChoicePrompt) -> ChoicePlan:
        """One request, answered line by line."""
        count = _lettered_count(prompt)
        request = "How likely is each option? Write one line for each, such as 'A: 40%'. The numbers add up to 100%."
        question = f"{_listed(prompt.context, prompt.options)}\n\n{request}"
        config = Config(max_tokens=12 * count + 32, temperature=0.0)
        (reply,) = yield [Ask(chat_request(lm.model, prompt.turns(question), config), _reply)]
        written = {letter: float(number) for letter, number in self._LINE.findall(reply)}
        numbers = [written.get(letter) for letter in ascii_uppercase[:count]]
        if None in numbers or not any(numbers):
            raise CannotMeasureError(lm.model, f"it wrote no number for each of {count} options but {reply!r}")
        return Scores(tuple(_log(number or 0.0) for number in numbers), "verbalized")


STRATEGIES: dict[str, Strategy] = {
    "letters": Letters(),
    "texts": Texts(),
    "verdicts": Verdicts(),
    "channel": Channel(),
    "sampled": Sampled(),
    "verbalized": Verbalized(),
}


def usable_strategies(lm: dspy.BaseLM) -> tuple[str, ...]:
    """Names of the strategies that this LM's backend can measure, without asking it anything."""
    try:
        can: frozenset[str] = measure_for(lm).can
    except CannotMeasureError:
        can = frozenset()
    return tuple(name for name, strategy in STRATEGIES.items() if strategy.needs is None or strategy.needs in can)


def _lettered_count(prompt: ChoicePrompt) -> int:
    count = len(prompt.options)
    if count > len(ascii_uppercase):
        raise ValueError(f"there are {count} options and 26 letters; use 'texts', 'verdicts' or 'channel'")
    return count


def _listed(context: str, options: Sequence[str]) -> str:
    lines = [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    return "\n".join([context, "", *lines])


def _lettered(context: str, options: Sequence[str]) -> str:
    return f"{_listed(context, options)}\n\nAnswer with the letter of one option."


def _letter_said(reply: str, count: int) -> int | None:
    """The place of the letter a reply begins or ends with, standing by itself; None where it names none or several."""
    letters = set(re.findall(rf"(?<!\w)([A-{ascii_uppercase[count - 1]}])(?=[\s.):,]|$)", reply.strip()))
    return ascii_uppercase.index(letters.pop()) if len(letters) == 1 else None


def _spellings(word: str) -> tuple[str, str]:
    return word, f" {word}"


def _log_sum(scores: Sequence[Likelihood]) -> float:
    """Logarithm of the summed probabilities; bounded ones count only where nothing was measured."""
    used = [score.logprob for score in scores if not score.bounded] or [max(score.logprob for score in scores)]
    top = max(used)
    return top if top == -math.inf else top + math.log(math.fsum(math.exp(value - top) for value in used))


def _check_measured(lm: dspy.BaseLM, row: Sequence[Likelihood]) -> None:
    if all(score.bounded for score in row):
        raise CannotMeasureError(lm.model, "none of the expected answers was among the likeliest tokens it returned")


def _log(value: float) -> float:
    return math.log(value) if value > 0 else -math.inf


def _reply(response: Response) -> str:
    return response.message.text or ""
