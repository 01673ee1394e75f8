"""Many responses as a table, from what was found out about each."""

import math

import pytest

from modplural.optimizers.faithfulness import AttributedSentence, Faithfulness, Reflection, Thresholds
from modplural.optimizers.faithfulness_table import faithfulness_table

THRESHOLDS = Thresholds(dropped_below=0.5, behind_from=0.8)


def response(*reflections: Reflection, behind: list[list[str]]) -> Faithfulness:
    sentences = tuple(AttributedSentence("So it is.", dict.fromkeys(names, 0.9)) for names in behind)
    return Faithfulness("words", THRESHOLDS, reflections, sentences)


def test_every_community_has_its_figures() -> None:
    one = response(Reflection("care", 0.0, 0.2), Reflection("duty", 1.0, 0.6), behind=[["duty"], []])
    other = response(Reflection("care", 0.8, 1.0), behind=[["care"], ["care"], ["care"]])
    table = faithfulness_table([one, other], ["s1", "s2"])
    assert table is not None
    assert list(table.communities) == ["care", "duty"]
    care, duty = table.communities.values()
    assert (care.said.value, care.taken.value, care.reflected.value) == pytest.approx((0.4, 0.6, 0.5))
    assert (care.dropped.value, care.sentences.value, care.dropped.n) == (0.5, 1.5, 2)
    assert (duty.reflected.value, duty.dropped.value, duty.reflected.n, duty.sentences.value) == (0.8, 0, 1, 1)
    assert (table.unsupported.value, table.unsupported.scorer) == (0.25, "words")
    assert (table.scorer, table.thresholds) == ("words", THRESHOLDS)


def test_responses_to_one_situation_belong_together() -> None:
    found = [response(Reflection("care", share, share), behind=[[]]) for share in (0.1, 0.9, 0.5)]
    table = faithfulness_table(found, ["s1", "s1", "s2"])
    assert table is not None
    assert (table.communities["care"].reflected.n, table.communities["care"].reflected.groups) == (3, 2)


def test_a_response_without_a_sentence_has_no_share_of_them() -> None:
    table = faithfulness_table([response(Reflection("care", 0, 0), behind=[])])
    assert table is not None
    assert (table.unsupported.n, math.isnan(table.unsupported.value)) == (0, True)
    assert table.communities["care"].sentences.value == 0


def test_a_table_is_of_one_scorer_and_its_thresholds() -> None:
    assert faithfulness_table([]) is None
    with pytest.raises(ValueError, match="do not compare"):
        faithfulness_table([Faithfulness("words", Thresholds(share), (), ()) for share in (0.4, 0.5)])
