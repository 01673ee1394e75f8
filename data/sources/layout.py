"""How a question and its options stand in a record's text, which `wording.bare_question` takes apart again."""

from collections.abc import Sequence
from string import ascii_uppercase


def survey_question(question: str, options: Sequence[str]) -> str:
    """Letter the options in one line below the question."""
    return f"Question: {question}\nOptions: {' '.join(lettered(options))}\nAnswer:"


def lettered(options: Sequence[str]) -> list[str]:
    """Put its letter before each option, as far as the alphabet goes."""
    return [f"{letter}. {option}" for letter, option in zip(ascii_uppercase, options, strict=False)]
