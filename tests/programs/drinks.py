"""A choice of drinks and the LM that makes it, for the tests of measured choices."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import dspy

from modplural.programs.engines.fake import fake_lm, prompt_text

QUERY = "A drink?"
OPTIONS = ["tea", "milk"]
LIKES = {"tea": 0.3, "milk": 0.1}


class Pick(dspy.Signature):
    """You pick what reflects the attribute."""

    query: str = dspy.InputField()
    attribute: str | None = dspy.InputField(default=None)
    options: list[str] = dspy.InputField()
    choice: str = dspy.OutputField()


def logprob(text: str, continuation: str) -> float:
    """Half of a probability for each spelling, of a letter (liked less in the second place), verdict, word or text."""
    word, lines = continuation.strip(), text.splitlines()
    if word in ("A", "B"):
        option = next(line[3:] for line in reversed(lines) if line.startswith(f"{word}. "))
        return math.log(LIKES[option] * {"A": 0.9, "B": 0.1}[word] / 2)
    if word in LIKES:
        return math.log(LIKES[word] / 2)
    if word == "warmth":
        return math.log(LIKES[next(line for line in reversed(lines) if line in LIKES)] / 2)
    favourable = word in ("Good", "Yes", "True")
    return math.log((LIKES[lines[-2]] if favourable else 0.1) / 2)


def reply(request: Any) -> str:
    text = prompt_text(request)
    if "How likely" in text:
        return "A: 60%\nB: 20%"
    wanted = ["tea"] * 6 + ["milk"] * 2 + ["neither"] * 2
    option = wanted[request.config.seed]
    return next((line[0] for line in text.splitlines() if line[1:] == f". {option}"), "Neither of them.")


def likely(likelihoods: Mapping[str, float] | Callable[[str, str], float] | None = None, **settings: Any) -> dspy.LM:
    return fake_lm(reply, likelihoods or logprob, **settings)


def demo(choice: Any = "bread", options: Any = ("soup", "bread"), **inputs: Any) -> dspy.Example:
    given = {"query": "A meal?", "options": list(options) if isinstance(options, tuple) else options, **inputs}
    return dspy.Example(**given, choice=choice).with_inputs(*given)
