"""Characters that nobody sees: they could hide words from readers, or tell options apart that look the same.

This file knows Unicode; it must not know what a text is for.
"""

import re
from unicodedata import category, name

_NAMES = re.compile("FILLER|VARIATION SELECTOR|GRAPHEME JOINER|VOWEL INHERENT")
"""What is invisible although it counts as a letter or mark; Python's `unicodedata` tells it by nothing but the name."""

_RESERVED = frozenset(map(chr, [0x2065, *range(0xFFF0, 0xFFF9)]))
"""Code points that Unicode keeps for more such characters (`Other_Default_Ignorable_Code_Point`)."""

_TAGS = 0xE
"""The plane of tags and variation selectors, where nothing can be seen."""

_JOINERS = "\u200c\u200d"
_STRAY = re.compile(rf"(?<![^\x00-\x7f\s{_JOINERS}])[{_JOINERS}]|[{_JOINERS}](?![^\x00-\x7f\s{_JOINERS}])")
"""A joiner that is not between two characters of which scripts and emoji make one shape; Latin letters are none."""

_BLANK = str.maketrans({"\u2800": " "})
"""A Braille cell without dots, which is a space in all but name."""


def without_unseen(text: str) -> str:
    """The text without what is not seen; white space stays, and so do joiners within words and emoji.

    Dropped are all format characters (category Cf: bidirectional controls, zero-width spaces, soft hyphens, tags; with
    them a few signs of Arabic numbering, which are seen), variation selectors, fillers, and code points kept for more.
    """
    if text.isascii():
        return text
    seen = "".join(char for char in text if char.isascii() or char in _JOINERS or not _is_unseen(char))
    return _STRAY.sub("", seen.translate(_BLANK))


def _is_unseen(char: str) -> bool:
    return (
        category(char) == "Cf"
        or ord(char) >> 16 == _TAGS
        or char in _RESERVED
        or _NAMES.search(name(char, "")) is not None
    )
