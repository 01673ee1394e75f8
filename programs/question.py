"""What a program is called with, checked in one place: a query, perhaps an attribute, perhaps options.

This file knows what makes sense as a question; it must not know how one is answered.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias
from unicodedata import normalize

from .unseen import without_unseen

Use: TypeAlias = Literal["required", "optional", "refused"]
"""What a program does with an argument."""


@dataclass(frozen=True)
class Question:
    """A checked call of a program.

    Attributes:
        query: A question or a situation.
        attribute: A value or a group whose standpoint is asked for.
        options: The possible answers, two or more and distinct.
    """

    query: str
    attribute: str | None = None
    options: tuple[str, ...] | None = None

    @classmethod
    def check(cls, query: object, attribute: object = None, options: object = None) -> "Question":
        """Make a question of a program's arguments.

        Raises:
            TypeError: An argument is of the wrong kind.
            ValueError: A text is empty, or there are fewer than two options or some of them twice.
        """
        return cls(
            query=_text("query", query),
            attribute=None if attribute is None else _text("attribute", attribute),
            options=None if options is None else check_options(options),
        )

    def fit(self, program: str, attribute: Use, options: Use) -> None:
        """Check that a program is given what it needs, and nothing that it would ignore.

        Raises:
            ValueError: An argument is missing, or one too many.
        """
        for name, use, value in (("attribute", attribute, self.attribute), ("options", options, self.options)):
            if use == "required" and value is None:
                raise ValueError(f"{program} needs {name}; {_MEANINGS[name]}")
            if use == "refused" and value is not None:
                raise ValueError(f"{program} takes no {name} and would ignore {value!r}; {_ELSEWHERE[name]}")


_MEANINGS = {
    "attribute": "name the value or the group of people whose standpoint is asked for, such as 'loyalty'",
    "options": "give the possible answers, two or more",
}
_ELSEWHERE = {
    "attribute": "leave it out, or use Steerable to answer from one standpoint",
    "options": "leave them out, or use Distributional for probabilities of options",
}


def _text(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a text, not {type(value).__name__} ({value!r})")
    if not without_unseen(value).strip():
        raise ValueError(f"{name} is empty; {_MEANINGS.get(name, 'ask something')}")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        wrong = f"U+{ord(error.object[error.start]):04X} at character {error.start + 1}"
        raise ValueError(f"{name}: {value!a} is no Unicode text, because of {wrong}; write it in UTF-8") from error
    return value


def check_options(value: object) -> tuple[str, ...]:
    """Options as given, if they are two or more texts that differ in what is seen of them.

    White space, characters that are not seen, and other forms of the same characters (Unicode's NFKC: full-width
    letters, ligatures, composed accents) make no difference; capitals do.

    Raises:
        TypeError: They are no list, or one of them is no text.
        ValueError: One of them is empty, there are fewer than two, or some are the same.
    """
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise TypeError(f"options must be a list of texts, not {type(value).__name__} ({value!r})")
    options = tuple(_text(f"options[{place}]", option) for place, option in enumerate(value))
    if len(options) < 2:
        raise ValueError(f"options are {list(options)}; {_MEANINGS['options']}")
    shown = Counter(" ".join(normalize("NFKC", without_unseen(option)).split()) for option in options)
    repeated = [option for option, count in shown.items() if count > 1]
    if repeated:
        raise ValueError(f"options are not distinct: {repeated} occur more than once; an answer could not tell which")
    return options
