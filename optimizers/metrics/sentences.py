"""Sentences and words of a response, as the metrics count them.

One set of rules for whatever LMs write: paragraphs, lists, quotations, abbreviations. Where the rules cannot tell, two
sentences stay together, because half a sentence entails nothing. This file must not know what is measured on sentences.
"""

import re
from collections.abc import Iterator

_BULLET = re.compile(r"\s*(?:[-*•–—>#]+|\(?\d{1,2}[.)]|\(?[A-Za-z][.)])\s+")  # noqa: RUF001 - dashes that lists have
_END = re.compile(r"(?<![.!?…।॥؟۔])[.!?…।॥؟۔]+[\"'”’)\]*_]*\s+(?=[\"'“‘(\[*_]*(?P<next>\S))|(?<=[。！？])(?=\S)")  # noqa: RUF001
_NO_END = re.compile(
    r"(?:^|[\s(\[\"'“‘])"  # noqa: RUF001
    r"(?:(?:Mr|Mrs|Ms|Dr|Prof|Rev|St|Jr|Sr|vs|cf|e\.g|i\.e|[A-HJ-Z](?:\.[A-Z])*)\.\s+\S|No\.\s+\d)$"
)
_LONGEST_SHORT = 12
"""Characters before a full stop in which something written short is looked for."""

_WORD = re.compile(r"\S+")


def split_sentences(text: str) -> list[str]:
    """Split a text into its sentences, without bullets and numbers of lists.

    A line ends a sentence, unless the next one goes on in lower case without a bullet. A full stop does where no lower
    case follows and no title, initial or abbreviation precedes. Pieces without a letter are left out.

    Returns:
        The sentences in order; none for an empty text.
    """
    pieces = (piece.strip() for line in _lines(text) for piece in _split_line(line))
    return [piece for piece in pieces if any(map(str.isalpha, piece))]


def count_words(text: str) -> int:
    """Count what white space separates."""
    return len(text.split())


def truncate_words(text: str, words: int) -> str:
    """Cut a text after a number of words, to compare answers at equal length; line breaks stay as they are.

    Raises:
        ValueError: The number is negative.
    """
    if words < 0:
        raise ValueError(f"cannot keep {words} words of a text; the number is 0 or more")
    ends = [match.end() for match in _WORD.finditer(text)]
    return text if len(ends) <= words else text[: ends[words - 1] if words else 0]


def _lines(text: str) -> Iterator[str]:
    """The lines as they are meant: without bullets, and joined where one was only wrapped."""
    parts: list[str] = []
    for raw in text.splitlines():
        bullet = _BULLET.match(raw)
        if parts and parts[-1].strip() and raw[:1].islower() and not bullet:
            parts.append(raw)
        else:
            yield " ".join(parts)
            parts = [raw[bullet.end() :] if bullet else raw]
    yield " ".join(parts)


def _split_line(line: str) -> Iterator[str]:
    start = 0
    for match in _END.finditer(line):
        if (match["next"] or "").islower() or _NO_END.search(
            line, max(0, match.start() - _LONGEST_SHORT), match.end() + 1
        ):
            continue
        yield line[start : match.end()]
        start = match.end()
    yield line[start:]
