"""What judges are asked is a choice, in few words."""

import dspy
import pytest

from modplural.programs.choice import MeasuredChoice
from modplural.signatures.judging import Prefer, TakesUp


@pytest.mark.parametrize("signature", [Prefer, TakesUp])
def test_a_judge_is_asked_for_a_choice_in_few_words(signature: type[dspy.Signature]) -> None:
    assert MeasuredChoice(signature).signature.instructions == signature.instructions
    assert len(signature.instructions.split()) <= 30
