"""A question freed from its lettered options."""

import pytest

from modplural.data.wording import bare_question


@pytest.mark.parametrize(
    ("text", "options", "bare"),
    [
        ("Question: Tea?\nOptions: A. Yes B. No\nAnswer:", ["Yes", "No"], "Tea?"),
        (
            "Choose.\nScenario: It rains.\nA. I run.\nB. I wait.\nAnswer:",
            ["I run.", "I wait."],
            "Choose.\nScenario: It rains.",
        ),
        ("Tea?\n\nA. Yes B. No\nAnswer:", ["Yes", "No"], "Tea?"),
        ("Question: Costs?\nOptions: A. $1 (net) B. $2\nAnswer:", ["$1 (net)", "$2"], "Costs?"),
        ("Tea?\nA.  Yes  \nB. No\nAnswer:", ["Yes", "No"], "Tea?"),
        ("Question: Tea?\nOptions: A. Yes B. No\nAnswer:", ["No", "Yes"], "Tea?\nOptions: A. Yes B. No"),
        ("Is A. Smith right? A. Yes B. No", ["Yes", "No"], "Is A. Smith right?"),
        ("Just a question?", ["Yes", "No"], "Just a question?"),
    ],
)
def test_only_the_records_own_options_and_cues_are_taken_off(text: str, options: list[str], bare: str) -> None:
    assert bare_question(text, options) == bare
