"""What communities say, and how it is written into prompts.

A community LM may be anybody's: its messages are data, never part of the prompt's structure. This file knows text; it
must not know LMs, pools or modes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from unicodedata import category

from .sentences import whole_sentences
from .unseen import without_unseen

_BRACKETS = {
    "(": "[\uff3b\ufe47",  # each with its full-width and presentation forms, which tokenizers may fold into it
    ")": "]\uff3d\ufe48",
    "\u2039": "<\uff1c\ufe64",
    "\u203a": ">\uff1e\ufe65",
}
_HARMLESS = {ord(bracket): harmless for harmless, brackets in _BRACKETS.items() for bracket in brackets}

LONGEST = 2000
"""Characters of a message that are put into prompts: some 300 words, so that ten fit the window of a small LM."""


@dataclass(frozen=True)
class Message:
    """What one community LM says about one query, as it said it; see `quoted` for what prompts hold of it."""

    community: str
    text: str


@dataclass(frozen=True)
class Sentence:
    """A sentence of a response, or a whole message in it, and the community that stands behind it."""

    community: str
    text: str


def delimit(messages: Sequence[Message]) -> str:
    """Messages as a numbered list for a prompt: one line each, `1. [community] text`.

    Whatever the messages are, the list has as many lines as there are messages, and square brackets only around the
    names: a message cannot end its line, start another one, or look like one.
    """
    return "\n".join(
        f"{number}. [{one_line(message.community)}] {quoted(message.text)}"
        for number, message in enumerate(messages, start=1)
    )


def quoted(text: str, longest: int = LONGEST) -> str:
    """A message as it stands in prompts: fit for them (see `one_line`), in whole sentences, and of a bounded length.

    One message of any length would else leave no room in the window for the others, and end a program that can do
    without it. A message longer than `longest` characters is cut after its last sentence that fits; and so is one that
    ends within a sentence, as the limit on an LM's tokens leaves it. A message without any whole sentence stays as it
    is, or is cut after a word, with an ellipsis.
    """
    return whole_sentences(one_line(text), longest)


def one_line(text: str) -> str:
    """Untrusted text made fit for a prompt: on one line, and without anything that prompts are built of.

    White space and control characters become single spaces. Square and angle brackets become round and typographic
    ones, so that neither DSPy's field markers (`[[ ## field ## ]]`) nor the special tokens of chat models
    (`<|im_end|>`, `[INST]`, `</s>`, `<start_of_turn>`) can be spelled. Characters that are not seen are dropped; see
    `without_unseen`.
    """
    visible = without_unseen(text.translate(_HARMLESS))
    return " ".join("".join(" " if category(char) in ("Cc", "Cs") else char for char in visible).split())
