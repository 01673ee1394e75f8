"""What programs accept as a question, and how they refuse the rest."""

import re
from typing import Any

import pytest

from modplural.programs.question import Question


def test_a_question_keeps_what_was_asked() -> None:
    assert Question.check("Is it right?", "care", ["yes", "no"]) == Question("Is it right?", "care", ("yes", "no"))
    assert Question.check("Is it right?") == Question("Is it right?", None, None)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((None,), TypeError, "query must be a text, not NoneType"),
        ((" \n",), ValueError, "query is empty; ask something"),
        (("q", ""), ValueError, "attribute is empty; name the value or the group"),
        (("q", ["care"]), TypeError, "attribute must be a text, not list"),
        (("q", None, "yes"), TypeError, "options must be a list of texts, not str ('yes')"),
        (("q", None, {"yes": 1, "no": 2}), TypeError, "options must be a list of texts, not dict"),
        (("q", None, []), ValueError, "options are []; give the possible answers, two or more"),
        (("q", None, ["yes"]), ValueError, "options are ['yes']; give the possible answers"),
        (("q", None, ["yes", " "]), ValueError, "options[1] is empty"),
        (("q", None, ["yes", 2]), TypeError, "options[1] must be a text, not int (2)"),
        (("\u200b\u3164",), ValueError, "query is empty"),
        (
            ("is it \ud83d?",),
            ValueError,
            r"query: 'is it \ud83d?' is no Unicode text, because of U+D83D at character 7",
        ),
        (("q", "\udc80"), ValueError, "attribute: "),
        (("q", None, ["yes", "\ud800"]), ValueError, "options[1]: "),
        (("q", None, ["yes", "\u2060"]), ValueError, "options[1] is empty"),
        (("q", None, ["yes", "no", "ye\u200bs"]), ValueError, "options are not distinct: ['yes'] occur more than once"),
        (("q", None, ["yes", "\uff59\uff45\uff53"]), ValueError, "options are not distinct: ['yes']"),
        (("q", None, ["caf\u00e9", "cafe\u0301"]), ValueError, "options are not distinct"),
        (("q", None, ["yes", "no", "yes "]), ValueError, "options are not distinct: ['yes'] occur more than once"),
    ],
)
def test_nonsense_is_refused_and_named(arguments: tuple[Any, ...], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        Question.check(*arguments)


def test_capitals_tell_options_apart() -> None:
    assert Question.check("q", None, ["polish", "Polish"]).options == ("polish", "Polish")


def test_a_program_is_given_what_it_needs_and_nothing_it_would_ignore() -> None:
    full = Question("q", "care", ("yes", "no"))
    full.fit("Steerable", "required", "optional")
    with pytest.raises(ValueError, match="Overton takes no attribute and would ignore 'care'"):
        full.fit("Overton", "refused", "refused")
    with pytest.raises(ValueError, match="Overton takes no options and would ignore"):
        full.fit("Overton", "optional", "refused")
    with pytest.raises(ValueError, match="Steerable needs attribute; name the value or the group"):
        Question("q").fit("Steerable", "required", "optional")
    with pytest.raises(ValueError, match="Distributional needs options; give the possible answers"):
        Question("q").fit("Distributional", "optional", "required")
