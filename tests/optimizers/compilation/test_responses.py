"""Responses that others are compared with: asked for once, when they are needed, and for whoever needs them."""

from concurrent.futures import ThreadPoolExecutor

import dspy
import pytest

from modplural.optimizers.compilation import compile
from modplural.optimizers.compilation.ledger import Ledger
from modplural.optimizers.compilation.responses import Responses
from modplural.optimizers.metrics import PairwiseJudge
from modplural.programs.baselines import Vanilla
from modplural.programs.engines.fake import fake_lm
from modplural.programs.overton import Overton


def test_a_response_is_asked_for_once_and_counts() -> None:
    lm, ledger = fake_lm({"": "It depends."}, cache=False), Ledger()
    responses = Responses(Vanilla(lm), ["May I?", "May you?", "May I?"])
    assert (list(responses), len(responses), lm.engine.prompts) == (["May I?", "May you?"], 2, ())
    with ledger.watching(), dspy.context(trace=[]):
        assert {responses["May I?"] for _ in range(3)} == {"It depends."}
        assert dspy.settings.trace == []
    assert ledger.calls == len(lm.engine.prompts) == 1
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(responses.__getitem__, ["May you?"] * 8)) == {"It depends."}
    assert len(lm.engine.prompts) == 2


def test_what_was_not_to_be_asked_is_not() -> None:
    lm = fake_lm({"": "It depends."})
    responses = Responses(Vanilla(lm), ["May I?"])
    assert ("May I?" in responses, "May she?" in responses) == (True, False)
    with pytest.raises(KeyError):
        responses["May she?"]
    assert lm.engine.prompts == ()


def judge_for(word: str) -> tuple[PairwiseJudge, dspy.LM]:
    """A judge that prefers the response with a word in it, wherever it stands."""

    def likelihood(prompt: str, continuation: str) -> float:
        first, _, second = prompt.partition("First:")[2].partition("Second:")
        better = "first" if word in first else "second" if word in second else "neither"
        return -1.0 if better in continuation else -2.0

    lm = fake_lm(likelihoods=likelihood, name="judge", cache=False)
    return PairwiseJudge(lm, "texts"), lm


def test_a_program_is_compiled_to_win_and_all_that_it_takes_is_counted(overton: Overton) -> None:
    judge, lm = judge_for("Luck")
    found = compile(overton, "overton-judge", strategy="synthesis", judge=judge, limit=8).report
    assert found.kept
    assert found.scorer == judge.name
    assert found.test.before["win score"].value == 0.5 < found.test.after["win score"].value == 1
    assert found.tokens["fake/judge"].calls == len(lm.engine.requests) > 0
    assert found.estimate.tokens["fake/judge"].calls > 0
    assert found.settings["judge"] == judge.name
    assert found.settings["baseline"].startswith("Prompted ")


def test_another_baseline_is_taken_where_it_is_given(overton: Overton) -> None:
    judge, _ = judge_for("Luck")
    best = Vanilla(fake_lm({"": "Luck alone decides."}, name="other"))
    found = compile(overton, "overton-judge", strategy="synthesis", judge=judge, baseline=best, limit=8).report
    assert found.test.before["win score"].value == 0
    assert found.settings["baseline"].startswith("Vanilla ")


def test_responses_are_not_judged_by_nobody(overton: Overton) -> None:
    with pytest.raises(ValueError, match=r"by an LM; give it: judge$"):
        compile(overton, "overton-judge", strategy="synthesis")
    with pytest.raises(ValueError, match=r"seed is 4294967296; it is a number from 0 to"):
        compile(overton, "overton-judge", strategy="synthesis", seed=2**32)
    assert overton.base.engine.prompts == ()
