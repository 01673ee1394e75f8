"""Declared judgments: which response formats are read as such, how they are asked, and how they are answered."""

import math
from typing import Any

import pytest
from dspy.lm15 import (
    Config,
    DataPart,
    InvalidRequestError,
    Message,
    Request,
    Response,
    Usage,
    choice,
    judgments,
    score,
    yes_no,
)

from modplural.programs.engines.judgments import DeclaredJudgment, declared_judgments, judgments_response
from modplural.programs.engines.scoring import Likelihood, Turn

USAGE = Usage(input_tokens=1, output_tokens=0)


def asking(response_format: Any) -> Request:
    return Request(model="m", messages=(Message.user("hi"),), config=Config(response_format=response_format))


def declared(**properties: Any) -> tuple[DeclaredJudgment, ...]:
    return declared_judgments(asking({"type": "json_schema", "schema": {"type": "object", "properties": properties}}))


def test_what_dspy_writes_is_read() -> None:
    stance, right, level = declared_judgments(
        asking(
            judgments(
                stance=choice("Which?", {"for": "in favour", "against": None}),
                right=yes_no("Is it right?"),
                level=score("How much?", ["little", "some", "much"]),
            )
        )
    )
    assert (stance.keys, stance.values) == (("for", "against"), ("for", "against"))
    assert (right.keys, right.values) == (("true", "false"), (True, False))
    assert (level.keys, level.values) == (("0", "1", "2"), (0, 1, 2))


def test_keys_are_listed_with_their_labels() -> None:
    [stance] = declared_judgments(asking(judgments(stance=choice("Which?", {"for": "in favour", "against": None}))))
    question = "Which?\n- for: in favour\n- against\nReply with one of these, spelled as listed."
    assert stance.asked_in([Turn("user", "It rains.")]) == (Turn("user", f"It rains.\n\n{question}"),)
    answered = [Turn("user", "It rains."), Turn("assistant", "Oh.")]
    assert stance.asked_in(answered) == (*answered, Turn("user", question))


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "string"},
        {"enum": []},
        {"enum": "abc"},
        {"enum": ["a", "a"]},
        {"enum": ["a", 1]},
        {"enum": [1, 2, 3]},
        {"enum": [False, True]},
        {"enum": ["a", ""]},
        {"anyOf": [{"const": "a"}, {"type": "string"}]},
        {"anyOf": {"const": "a"}},
        "text",
        None,
    ],
)
def test_anything_else_is_no_judgment_and_neither_is_what_stands_beside_it(entry: Any) -> None:
    assert declared(answer=entry) == ()
    assert declared(stance={"enum": ["a", "b"]}, answer=entry) == ()


def test_other_response_formats_declare_nothing() -> None:
    assert declared() == ()
    assert declared_judgments(asking({"type": "json_object"})) == ()
    assert declared_judgments(asking(None)) == ()


def answer(*rows: list[float], **properties: Any) -> Response:
    scores = [[Likelihood(value, 1) for value in row] for row in rows]
    return judgments_response(asking(None), declared(**properties), scores, USAGE)


def test_the_answer_is_a_distribution_with_what_it_covers() -> None:
    response = answer(
        [math.log(0.1), math.log(0.3)],
        [-1000.0, -1000.0 + math.log(3)],
        stance={"enum": ["for", "against"]},
        right={"type": "boolean"},
    )
    [part] = response.message.parts
    assert isinstance(part, DataPart)
    assert part.value == {"stance": "against", "right": False}
    assert part.method == "candidate_sequence_likelihood"
    assert part.probabilities is not None
    assert part.probabilities["stance"] == pytest.approx({"for": 0.25, "against": 0.75})
    assert part.probabilities["right"] == pytest.approx({"true": 0.25, "false": 0.75})
    assert response.provider_data == {"coverage": pytest.approx({"stance": 0.4, "right": 0.0})}


def test_a_level_is_answered_as_a_number() -> None:
    [part] = answer([-3.0, -1.0, -2.0], level={"enum": [0, 1, 2]}).message.parts
    assert isinstance(part, DataPart)
    assert part.value == {"level": 1}


def test_no_likelihood_at_all_is_an_error_not_a_guess() -> None:
    with pytest.raises(InvalidRequestError, match="no key of judgment 'stance' has any likelihood"):
        answer([-math.inf, -math.inf], stance={"enum": ["for", "against"]})
