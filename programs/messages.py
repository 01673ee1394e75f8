"""What communities say, and how it is written into prompts.

A community LM may be anybody's: its messages are data, never part of the prompt's structure. This file knows text; it
must not know LMs, pools or modes.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category

_BRACKETS = {
    "(": "[\uff3b\ufe47",  # each with its full-width and presentation forms, which tokenizers may fold into it
    ")": "]\uff3d\ufe48",
    "\u2039": "<\uff1c\ufe64",
    "\u203a": ">\uff1e\ufe65",
}
_HARMLESS = {ord(bracket): harmless for harmless, brackets in _BRACKETS.items() for bracket in brackets}
_UNSEEN = re.compile("[\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]")
_SENTENCE = re.compile(
    """
    .{20,}?                      # a shorter one is a "Sure!" or a "Dr."
    [.!?\u3002\uff01\uff1f]+     # the end, in Latin and Chinese
    [\\"'\u201d\u2019)]*(?=\\s|$)  # and what closes after it
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Message:
    """What one community LM says about one query, as it said it."""

    community: str
    text: str


@dataclass(frozen=True)
class Sentence:
    """One sentence of a response, and the community whose message it restates."""

    community: str
    text: str


def delimit(messages: Sequence[Message]) -> str:
    """Messages as a numbered list for a prompt: one line each, `1. [community] text`.

    Whatever the messages are, the list has as many lines as there are messages, and square brackets only around the
    names: a message cannot end its line, start another one, or look like one.
    """
    return "\n".join(
        f"{number}. [{one_line(message.community)}] {one_line(message.text)}"
        for number, message in enumerate(messages, start=1)
    )


def one_line(text: str) -> str:
    """Untrusted text made fit for a prompt: on one line, and without anything that prompts are built of.

    White space and control characters become single spaces. Square and angle brackets become round and typographic
    ones, so that neither DSPy's field markers (`[[ ## field ## ]]`) nor the special tokens of chat models
    (`<|im_end|>`, `[INST]`, `</s>`, `<start_of_turn>`) can be spelled. Characters that are not seen (bidirectional
    controls, tags, zero-width spaces) are dropped; those that join letters and emoji are kept.
    """
    visible = _UNSEEN.sub("", text.translate(_HARMLESS))
    return " ".join("".join(" " if category(char) in ("Cc", "Cs") else char for char in visible).split())


def first_sentence(text: str) -> str:
    """The first sentence of a reply that was asked for one, on one line; all of it where no end is found."""
    line = " ".join(text.split())
    found = _SENTENCE.match(line)
    return found.group() if found else line
