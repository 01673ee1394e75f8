"""The question in a record's text, freed from the lettered options and cues that were put there for one way of asking.

Programs present options themselves, in every order and not only by letter; a text that already letters them would
contradict that. This file knows no dataset.
"""

import re
from collections.abc import Sequence
from string import ascii_uppercase


def bare_question(text: str, options: Sequence[str]) -> str:
    r"""Return a text without a leading `Question:`, the lettered options at its end and a final `Answer:`.

    Args:
        text: Such as `"Question: Tea or milk?\nOptions: A. Tea B. Milk\nAnswer:"`; options may also stand one per line.
        options: The options as the record lists them. Where the text ends otherwise, its ending is left as it is.
    """
    lettered = [rf"{letter}\.\s+{re.escape(option)}" for letter, option in zip(ascii_uppercase, options, strict=False)]
    ending = r"\s*(Options:\s*)?" + r"\s+".join(lettered) + "$"
    body = text.strip().removesuffix("Answer:").rstrip()
    return re.sub(ending, "", body).removeprefix("Question:").strip()
