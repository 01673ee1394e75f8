"""What DSPy's optimizers do silently: they swallow failing metrics, go on when a budget is spent, and drop LMs."""

import time
from collections.abc import Callable

import dspy
import pytest

from modplural.optimizers.compilation import STRATEGIES, MetricFailedError, PromptLMFailedError, compile
from modplural.optimizers.compilation.strategy import adopt, frozen
from modplural.optimizers.journal import RunError
from modplural.optimizers.metrics import TaskMetric
from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.overton import Overton

from .conftest import SAID, MakeBench, bindings, situations

ON_OVERTON = ["synthesis", "instructions", "bootstrap", "mipro", "copro", "gepa"]


def broken(row: Callable[[dspy.Example, dspy.Prediction], float]) -> TaskMetric:
    return TaskMetric("overton-vk", "said", row, SAID.figures, SAID.good, group="situation")


def fails(example: dspy.Example, prediction: dspy.Prediction) -> float:
    raise KeyError("no such field")


@pytest.mark.parametrize("name", ON_OVERTON)
def test_a_metric_that_always_raises_raises(
    name: str, overton: Overton, make_bench: MakeBench, prompt_lm: dspy.LM
) -> None:
    strategy = STRATEGIES[name](make_bench(broken(fails), prompt_lm=prompt_lm))
    with pytest.raises(MetricFailedError, match=r"the metric of overton-vk fails \(KeyError: 'no such field'\)"):
        strategy.compile(overton, trainset=situations(8), valset=situations(6))


@pytest.mark.parametrize("name", ON_OVERTON)
def test_a_metric_that_fails_once_does_not_end_anything(
    name: str, overton: Overton, make_bench: MakeBench, prompt_lm: dspy.LM
) -> None:
    failures = iter([True])

    def row(example: dspy.Example, prediction: dspy.Prediction) -> float:
        if next(failures, False):
            raise ConnectionError("the judge is away")
        return float(SAID.row(example, prediction))

    bench = make_bench(broken(row), prompt_lm=prompt_lm)
    found = STRATEGIES[name](bench).compile(overton, trainset=situations(8), valset=situations(14)[8:])
    assert bench.objective.watch.failed == 1
    assert bench.goodness(bench.score(found, situations(20)[14:])) == 1


@pytest.mark.parametrize("reply", ["no JSON", ConnectionError("nobody there")])
@pytest.mark.parametrize("name", ["mipro", "copro", "gepa"])
def test_a_prompt_lm_that_writes_nothing_of_use_is_told_so(
    name: str, reply: str | Exception, overton: Overton, make_bench: MakeBench
) -> None:
    lm = fake_lm({"": reply}, name="prompt", num_retries=0)
    with pytest.raises(PromptLMFailedError, match=r"no JSON|nobody there"):
        STRATEGIES[name](make_bench(prompt_lm=lm)).compile(overton, trainset=situations(8), valset=situations(6))


def test_a_rewrite_that_fails_is_left_out(overton: Overton, make_bench: MakeBench) -> None:
    replies = iter(["Say everything.", ConnectionError("429 too many requests"), "", "Leave nothing out."])
    lm = fake_lm(lambda request: next(replies, "Say all."), name="prompt", num_retries=0)
    bench = make_bench(prompt_lm=lm)
    STRATEGIES["instructions"](bench).compile(overton, trainset=situations(4), valset=situations(8)[4:])
    assert any("Say everything." in trial.what for trial in bench.log.trials)

    never = fake_lm({"": ConnectionError("429 too many requests")}, name="prompt", num_retries=0)
    with pytest.raises(PromptLMFailedError, match="429 too many requests"):
        STRATEGIES["instructions"](make_bench(prompt_lm=never)).compile(overton, trainset=situations(4))


def test_a_candidate_that_fails_everywhere_is_the_worst_one(overton: Overton, make_bench: MakeBench) -> None:
    def refusing(request: dspy.lm15.Request) -> str:
        if "no message out" in prompt_text(request):
            raise ValueError("refused by a content filter")
        return "Kindness first."

    overton.base = fake_lm(refusing, name="base", num_retries=0)
    bench = make_bench()
    STRATEGIES["instructions"](bench).compile(overton, trainset=situations(4), valset=situations(8)[4:])
    refused = [trial for trial in bench.log.trials if trial.failed]
    assert refused and all((trial.failed, trial.score) == (trial.n, 0) for trial in refused)


def test_a_program_that_fails_everywhere_is_told_so(overton: Overton, make_bench: MakeBench) -> None:
    overton.set_lm(fake_lm({"": ConnectionError("nobody there")}, num_retries=0))
    with pytest.raises(RunError, match=r"Overton failed on all 4 records, the last with: .*nobody there"):
        STRATEGIES["synthesis"](make_bench()).compile(overton, trainset=situations(4))


@pytest.mark.parametrize("name", ON_OVERTON)
@pytest.mark.parametrize("limit", [1, 40, 70])
def test_a_budget_ends_a_search_with_the_best_so_far(
    name: str, limit: int, overton: Overton, make_bench: MakeBench, prompt_lm: dspy.LM
) -> None:
    bench = make_bench(max_calls=limit, prompt_lm=prompt_lm)
    strategy = STRATEGIES[name](bench)
    found = strategy.compile(overton, trainset=situations(8), valset=situations(14)[8:])

    assert strategy.stopped
    # Calls under way when the limit was reached: four rows, with three communities each.
    assert bench.ledger.calls <= limit + 12
    bench.ledger.limit = None
    before, after = (bench.goodness(bench.score(program, situations(14)[8:])) for program in (overton, found))
    assert after >= before
    assert bindings(found) == bindings(overton)


def test_nobody_asks_on_after_the_budget_is_spent(overton: Overton, make_bench: MakeBench) -> None:
    bench = make_bench(max_calls=20)
    STRATEGIES["bootstrap"](bench).compile(overton, trainset=situations(8), valset=situations(60))
    asked = len(overton.base.engine.requests)
    time.sleep(0.3)  # DSPy leaves the rows that wait to its threads
    assert len(overton.base.engine.requests) <= asked + 4
    assert asked < 30


@pytest.mark.parametrize("name", ["bootstrap", "mipro"])
def test_demos_are_found_where_nothing_is_good_in_itself(
    name: str, overton: Overton, make_bench: MakeBench, prompt_lm: dspy.LM
) -> None:
    never = TaskMetric("overton-vk", "said", SAID.row, SAID.figures, lambda score: False, group="situation")
    bench = make_bench(never, prompt_lm=prompt_lm)
    found = STRATEGIES[name](bench).compile(overton, trainset=situations(8), valset=situations(14)[8:])
    assert bench.goodness(bench.score(found, situations(20)[14:])) == 1
    if name == "bootstrap":
        assert [demo["response"] for demo in found.synthesize.demos] == ["Kindness first."] * len(
            found.synthesize.demos
        )
        assert found.synthesize.demos


def test_what_a_search_prints_reaches_no_terminal(
    overton: Overton, make_bench: MakeBench, prompt_lm: dspy.LM, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("bootstrap", "mipro", "copro", "gepa"):
        STRATEGIES[name](make_bench(prompt_lm=prompt_lm)).compile(overton, trainset=situations(4), valset=situations(6))
    assert capfd.readouterr() == ("", "")


def test_a_frozen_copy_shows_no_community_and_shares_every_lm(overton: Overton) -> None:
    copied = frozen(overton)
    assert [name for name, _ in copied.named_predictors()] == ["synthesize", "restate"]
    assert [name for name, _ in copied.deepcopy().named_predictors()] == ["synthesize", "restate"]
    assert bindings(copied) == bindings(overton)
    assert len(overton.named_predictors()) == 5


def test_what_is_adopted_is_learned_and_nothing_else(overton: Overton) -> None:
    found = frozen(overton)
    found.synthesis.value = "refine"
    found.pool.weights.update({"care": 2.0})
    found.candidate_programs = [overton]
    found.synthesize.lm = fake_lm({"": "an LM that an optimizer set"})

    adopted = adopt(overton, found)
    assert adopted.synthesis.value == "refine"
    assert adopted.pool.weights["care"] == 2
    assert adopted.synthesize.lm is None
    assert not hasattr(adopted, "candidate_programs")
    assert len(adopted.named_predictors()) == 5


def test_compiling_a_program_for_a_task_of_another_mode_is_refused(overton: Overton) -> None:
    with pytest.raises(RunError, match="Overton cannot be compiled for steerable-vk"):
        compile(overton, "steerable-vk", strategy="synthesis", metric=SAID)
    assert not overton.base.engine.requests
