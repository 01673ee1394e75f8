"""Every call's signature: rendered plainly or measured, and told apart by its instructions."""

import inspect

import dspy
import pytest

from modplural.programs.adapters import is_plain
from modplural.signatures import baselines, community, distributional, overton, steerable

MODULES = (baselines, community, distributional, overton, steerable)
SIGNATURES = [
    found
    for module in MODULES
    for found in vars(module).values()
    if inspect.isclass(found) and issubclass(found, dspy.Signature) and found is not dspy.Signature
]


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: f"{signature.__module__}.{signature.__name__}")
def test_a_signature_asks_for_one_text(signature: type[dspy.Signature]) -> None:
    assert is_plain(signature)
    assert next(name for name in signature.input_fields if name != "message") == "query"
    (output,) = signature.output_fields
    assert (output == "choice") == ("options" in signature.input_fields)


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda signature: f"{signature.__module__}.{signature.__name__}")
def test_instructions_are_short_enough_for_small_lms(signature: type[dspy.Signature]) -> None:
    assert len(signature.instructions.split()) <= 30
    assert "\n" not in signature.instructions


def test_no_two_calls_are_asked_alike() -> None:
    asked = {(signature.signature, signature.instructions) for signature in SIGNATURES}
    assert len(asked) == len(SIGNATURES) == 17


def test_the_pluralistic_wordings_have_the_fields_of_the_plain_ones() -> None:
    for plain in ("Answer", "AnswerFor", "Choose", "ChooseFor"):
        pluralistic = plain.replace("For", "") + "Pluralistically" + ("For" if plain.endswith("For") else "")
        assert getattr(baselines, pluralistic).signature == getattr(baselines, plain).signature
