"""Reading what any tool wrote as its answers to records of the common format.

An answer is read or it is not: what a tool left out is missing, what cannot be told is unreadable, and both are kept
apart and counted. Nothing is guessed, because a guess would be a score that no tool earned. This file must not know
what answers are scored with.
"""

import math
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import dspy

from ..data import BadRecord, Record, RecordFile
from ..data.multiple_choice import SUM_TOLERANCE
from ..data.steerable import OPTIONS

_SHOWN = 60

_WORDS = {"support": "A", "supports": "A", "oppose": "B", "opposes": "B", "either": "C"}
"""Letter by what the dataset calls it, in the question and in the label."""

_WORD = rf"(?:{'|'.join(_WORDS)})\b"
_OPENING = r"[\s(\[\"'*_`<]*"
_CLOSED = rf"(?=\s*$|[.,:;)\]\"'*_`<]+(?!\w)|\s*\n|\s+[-–—(]|\(|(?:[.:)\]]\s*|\s+)(?i:{_WORD}))"  # noqa: RUF001
_ENDED = r"(?=[\"'*_`)\]]*(?:[.;:<](?!\w)|\s*$|\s*\n))"
_LETTER = rf"(?P<letter>[ABC]){_CLOSED}"
_LISTED = rf"(?P<letter>[abc])(?=[.:)]\s*(?i:{_WORD}))"
_CALLED = rf"(?P<word>(?i:{_WORD})){_ENDED}"
_CUED = r"(?i:\b(?:answer|choice|label|option)\b[\W_]*(?:is\b[\W_]*)?(?:option\b[\W_]*)?)"
_LETTERS = [
    re.compile(rf"^{_OPENING}{_LETTER}", re.MULTILINE),
    re.compile(rf"^{_OPENING}{_LISTED}", re.MULTILINE),
    re.compile(_CUED + _LETTER),
    re.compile(_CUED + _LISTED),
]
_CALLS = [re.compile(rf"\A{_OPENING}{_CALLED}"), re.compile(_CUED + _CALLED)]
_ALONE = re.compile(r"(?<![\w'’])(?P<letter>[BC](?![\w'’])|A(?![\w'’]|\s+[a-z]))")  # noqa: RUF001
"""A letter that is a word; not the article."""
_NEXT = re.compile(rf"[\W_]*({_WORD})", re.IGNORECASE)


class UnreadableAnswerError(ValueError):
    """An answer cannot be told from what was written; the message says why."""


@dataclass(frozen=True)
class Answers:
    """What was answered to the records of a file.

    Attributes:
        predictions: What could be read, by index of the record, as a program of this package would predict it.
        missing: Indices of records without an answer.
        unreadable: Answers that cannot be told, and why.
        rescaled: Indices of distributions that did not sum to 1 and were scaled to it, as the field's scorers do.
    """

    predictions: Mapping[int, dspy.Prediction]
    missing: tuple[int, ...]
    unreadable: tuple[BadRecord, ...]
    rescaled: tuple[int, ...]


def read_answers(records: RecordFile) -> Answers:
    """Read the answers that a file came with: `output`, or `pred_distribution`, as its task has it."""
    predictions: dict[int, dspy.Prediction] = {}
    missing: list[int] = []
    unreadable: list[BadRecord] = []
    rescaled: list[int] = []
    for index, record in records.records.items():
        written = records.rows[index].get(record.record_key)
        if _is_blank(written):
            missing.append(index)
            continue
        try:
            predictions[index] = _READERS[record.prediction_field](record, written)
        except UnreadableAnswerError as error:
            unreadable.append(BadRecord(index, str(error)))
        else:
            if isinstance(written, list) and abs(sum(written) - 1) > SUM_TOLERANCE:
                rescaled.append(index)
    return Answers(predictions, tuple(missing), tuple(unreadable), tuple(rescaled))


def read_letter(text: str) -> str:
    """Read which option a text answers with.

    A letter answers where it is all there is, begins a line as a list's letter does, or follows "answer", "choice",
    "label" or "option", and nothing but white space, punctuation or its own option comes next. An option's own word
    answers as well where it is all there is, or a sentence of its own at the beginning or after such a word. A letter
    inside a word and the article are no letters.

    Returns:
        `A`, `B` or `C`.

    Raises:
        UnreadableAnswerError: Nothing answers, or several options do, or a letter is named with another one's option,
            or further letters are named where no option's word says which of them answers.
    """
    bare = text.strip().strip("()[].:;,\"'*_` \n").casefold()
    if whole := _WORDS.get(bare) or {letter.casefold(): letter for letter in OPTIONS}.get(bare):
        return whole
    lettered = [
        (match["letter"].upper(), _word_after(text, match)) for pattern in _LETTERS for match in pattern.finditer(text)
    ]
    called = {_WORDS[match["word"].casefold()] for pattern in _CALLS for match in pattern.finditer(text)}
    answered = {letter for letter, _ in lettered} | called
    if not answered:
        raise UnreadableAnswerError(f"no option's letter answers in {_short(text)}")
    certain = called or any(word and _WORDS[word.casefold()] == letter for letter, word in lettered)
    named = answered | _named(text, with_word=bool(certain))
    if len(named) > 1:
        raise UnreadableAnswerError(f"several letters are named, {', '.join(sorted(named))}, in {_short(text)}")
    for letter, word in lettered:
        if word and _WORDS[word.casefold()] != letter:
            raise UnreadableAnswerError(f"{letter} is not {word!r}, in {_short(text)}")
    return answered.pop()


def _word_after(text: str, match: re.Match[str]) -> str | None:
    """The option's word that comes next to a letter."""
    found = _NEXT.match(text, match.end("letter"))
    return found and found[1]


def _named(text: str, *, with_word: bool) -> set[str]:
    """The letters in a text; only those that are named with their own option, where that is asked."""
    named = ((match["letter"], _word_after(text, match)) for match in _ALONE.finditer(text))
    return {letter for letter, word in named if not with_word or (word and _WORDS[word.casefold()] == letter)}


def _read_text(record: Record, written: Any) -> dspy.Prediction:
    return dspy.Prediction(response=_text(written))


def _read_option(record: Record, written: Any) -> dspy.Prediction:
    return dspy.Prediction(option=OPTIONS[read_letter(_text(written))])


def _read_shares(record: Record, written: Any) -> dspy.Prediction:
    options: list[str] = record.example().options
    if not isinstance(written, list) or len(written) != len(options):
        raise UnreadableAnswerError(f"{len(options)} probabilities are needed, not {_short(written)}")
    if not all(map(_is_share, written)):
        raise UnreadableAnswerError(f"probabilities are finite and not negative, not {_short(written)}")
    if not 0 < (total := sum(written)) < math.inf:
        raise UnreadableAnswerError(f"the probabilities {_short(written)} are no distribution")
    return dspy.Prediction(
        probabilities={option: share / total for option, share in zip(options, written, strict=True)}
    )


_READERS: Mapping[str, Callable[[Record, Any], dspy.Prediction]] = {
    "response": _read_text,
    "option": _read_option,
    "probabilities": _read_shares,
}
"""Reader by the field of a prediction that answers a record."""


def _is_share(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def _is_blank(written: object) -> bool:
    return written is None or written == [] or (isinstance(written, str) and not written.strip())


def _text(written: object) -> str:
    if not isinstance(written, str):
        raise UnreadableAnswerError(f"a text is needed, not {_short(written)}")
    return written


def _short(written: object) -> str:
    shown = repr(written)
    return shown if len(shown) <= _SHOWN else f"{shown[: _SHOWN - 1]}…"
