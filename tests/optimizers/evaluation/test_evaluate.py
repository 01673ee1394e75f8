"""What an evaluation finds, what a further one asks again, and what is refused before anybody is asked."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.optimizers import RunError, RunUsageError
from modplural.optimizers.evaluation import STORE, Evaluation, Plan, Progress, evaluate
from modplural.optimizers.evaluation.store import Store
from modplural.optimizers.metrics import JudgeScorer, PairwiseJudge
from modplural.programs.engines.fake import fake_lm
from modplural.programs.overton import Overton

from .conftest import Words, World, dilemma, engine_of, saved, situation

DILEMMAS = [dilemma(0), dilemma(1), dilemma(2, low=False)]
SITUATIONS = [situation(0), situation(1)]
CHOICE = "distributional-moralchoice"


class Stub(dspy.Module):
    """Answers a dilemma by numbers, and fails on queries in `failing`."""

    def __init__(self, *failing: str) -> None:
        super().__init__()
        self._failing = set(failing)
        self._asked: list[str] = []

    def forward(self, query: str, options: list[str]) -> dspy.Prediction:
        self._asked.append(query)
        if query in self._failing:
            raise TimeoutError(f"no reply about {query}")
        return dspy.Prediction(probabilities={options[0]: 0.8, options[1]: 0.2})


def judging(strategy: str = "letters") -> PairwiseJudge:
    """Prefers whatever stands first."""
    return PairwiseJudge(fake_lm(likelihoods=lambda prompt, text: math.log(0.9 if "A" in text else 0.1)), strategy)


def test_every_record_by_every_method_has_a_row_with_a_score(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan(CHOICE, DILEMMAS)], found)
    assert [(row.method, row.id) for row in evaluation.rows] == [
        (method, number) for method in ("vanilla", "prompted", "mixture_of_experts", "modular") for number in range(3)
    ]
    assert all(row.error is None and 0 <= row.score <= math.sqrt(math.log(2)) for row in evaluation.rows)
    modular = evaluation.rows[9]
    assert modular.prediction is not None
    assert [message["community"] for message in modular.prediction["messages"]] == ["care", "fairness"]
    assert set(modular.prediction["per_community"]) == {"care", "fairness"}
    assert modular.prediction["probabilities"] == pytest.approx({"I stay.": 9 / 13, "I go.": 4 / 13})


def test_figures_have_n_and_an_interval_and_name_the_data(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan(CHOICE, DILEMMAS)], found)
    (task,) = evaluation.tasks
    assert (task.name, task.records, task.primary, task.higher_is_better) == (
        CHOICE,
        3,
        "Jensen-Shannon distance",
        False,
    )
    assert task.digest == world.records(CHOICE, DILEMMAS).digest
    figure = evaluation.figures[0].figures["Jensen-Shannon distance"]
    assert figure.n == 3
    assert figure.low <= figure.value <= figure.high
    assert figure.value == pytest.approx(sum(row.score for row in evaluation.rows[:3]) / 3)


def test_methods_are_compared_with_prompted_on_the_same_rows(world: World, found: Path) -> None:
    plan = world.plan(CHOICE, [dilemma(number) for number in range(5)], "prompted", "vanilla")
    better = Plan(plan.records, {**plan.programs, "stub": Stub()})
    evaluation = evaluate([better], found)
    assert [(one.method, one.against) for one in evaluation.comparisons] == [
        ("vanilla", "prompted"),
        ("stub", "prompted"),
    ]
    equal, differing = evaluation.comparisons
    assert (equal.comparison.difference, equal.corrected) == (0, 1)
    assert differing.comparison.n == 5
    assert differing.corrected >= differing.comparison.p_value
    scores = {method: [row.score for row in evaluation.rows if row.method == method] for method in better.programs}
    difference = sum(scores["stub"]) / 5 - sum(scores["prompted"]) / 5
    assert differing.comparison.difference == pytest.approx(difference)


def test_where_the_reference_fails_answers_and_failures_stay(world: World, found: Path) -> None:
    plan = world.plan("overton-judge", SITUATIONS, "modular")

    class Forgetful(dspy.Module):
        def forward(self, query: str) -> dspy.Prediction:
            if query == plan.records.examples()[0].query:
                raise TimeoutError("no reply")
            return dspy.Prediction(response="Some say this.")

    judged = Plan(plan.records, {"prompted": Forgetful(), **plan.programs})
    evaluation = evaluate([judged], found, judge=judging())
    assert [(row.method, row.index) for row in evaluation.failed] == [("prompted", 0)]
    rows = [row for row in evaluation.rows if row.method == "modular"]
    assert all(row.prediction is not None for row in rows)
    assert [math.isnan(row.score) for row in rows] == [True, False]
    assert {one.method: one.failed for one in evaluation.figures} == {"prompted": 1, "modular": 0}


def test_without_prompted_nothing_is_compared(world: World, found: Path) -> None:
    assert evaluate([world.plan(CHOICE, DILEMMAS, "vanilla")], found).comparisons == ()


def test_a_further_evaluation_asks_only_for_what_is_new(world: World, found: Path) -> None:
    first = evaluate([world.plan(CHOICE, DILEMMAS[:2], "vanilla")], found)
    base, _ = world.calls()
    again = evaluate([world.plan(CHOICE, DILEMMAS[:2], "vanilla")], found)
    assert world.calls() == (base, 0)
    assert (again.rows, again.tokens) == (first.rows, first.tokens)
    evaluate([world.plan(CHOICE, DILEMMAS, "vanilla")], found)
    assert world.calls() == (base * 3 / 2, 0)


def test_another_program_or_record_is_asked_anew(world: World, found: Path) -> None:
    plan = world.plan(CHOICE, DILEMMAS, "vanilla")
    evaluate([plan], found)
    base, _ = world.calls()
    plan.programs["vanilla"].choose.signature = plan.programs["vanilla"].choose.signature.with_instructions("Choose.")
    evaluate([Plan(plan.records, plan.programs)], found)
    assert world.calls()[0] == 2 * base
    changed = [{**record, "question": f"{record['question']} Now?"} for record in DILEMMAS]
    evaluate([world.plan(CHOICE, changed, "vanilla")], found)
    assert world.calls()[0] == 3 * base


def test_a_failing_row_is_recorded_and_tried_again(world: World, found: Path) -> None:
    stub = Stub("Situation 1?")
    plan = Plan(world.records(CHOICE, DILEMMAS), {"stub": stub})
    evaluation = evaluate([plan], found)
    (failed,) = evaluation.failed
    assert (failed.index, failed.error, failed.prediction) == (1, "TimeoutError: no reply about Situation 1?", None)
    assert math.isnan(failed.score)
    assert evaluation.share_failed == pytest.approx(1 / 3)
    assert (evaluation.figures[0].failed, evaluation.figures[0].figures["Jensen-Shannon distance"].n) == (1, 2)
    assert saved(found)["rows"][1]["score"] is None
    stub._failing.clear()
    stub._asked.clear()
    assert evaluate([plan], found).failed == ()
    assert stub._asked == ["Situation 1?"]


@pytest.mark.parametrize("probabilities", [{"I stay.": 1.0}, {"I stay.": 0.9, "I go.": 0.9}, {}])
def test_an_answer_that_is_none_is_a_failure(world: World, found: Path, probabilities: dict[str, float]) -> None:
    class Odd(dspy.Module):
        def forward(self, query: str, options: list[str]) -> dspy.Prediction:
            return dspy.Prediction(probabilities=probabilities)

    (row,) = evaluate([Plan(world.records(CHOICE, DILEMMAS[:1]), {"odd": Odd()})], found).failed
    assert row.error and row.error.startswith("ValueError: the probabilities")


def test_a_failing_row_names_no_secret(world: World, found: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    world.replies[""] = RuntimeError("refused sk-very-secret")
    evaluation = evaluate([world.plan("overton-vk", SITUATIONS, "vanilla")], found, scorer=Words())
    assert all(row.error and "sk-very" not in row.error for row in evaluation.failed)
    assert b"sk-very" not in (found / STORE).read_bytes()


def test_where_every_row_fails_it_stops(world: World, found: Path) -> None:
    world.replies[""] = ConnectionError("down")
    rows = [situation(number) for number in range(40)]
    with pytest.raises(RunError, match=r"all of the first 10 rows failed.*down"):
        evaluate([world.plan("overton-vk", rows, "vanilla")], found, scorer=Words(), workers=1)
    assert world.calls()[0] < 20


def test_messages_are_asked_for_once_for_all_methods_modes_and_tasks(world: World, found: Path) -> None:
    survey = [
        {**dilemma(number), "question": "Tea?", "attribute": group}
        for number, group in enumerate(["POLPARTY_Left", "POLPARTY_Right"])
    ]
    country = [{**dilemma(0), "question": "Tea?", "attribute": "Thule"}]
    plans = [world.plan("steerable-opinionqa", survey), world.plan("distributional-globalopinionqa", country)]
    evaluate(plans, found)
    assert world.calls()[1] == 2


def test_tasks_of_the_same_records_share_their_answers(world: World, found: Path) -> None:
    plans = [world.plan(task, SITUATIONS, "vanilla", "prompted") for task in ("overton-vk", "overton-judge")]
    evaluation = evaluate(plans, found, scorer=Words(), judge=judging())
    assert len(evaluation.rows) == 8
    assert world.calls() == (4, 0)


def test_overton_is_scored_by_the_scorer_and_counts_words(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan("overton-vk", SITUATIONS)], found, scorer=Words())
    assert evaluation.tasks[0].scorer == "words"
    assert evaluation.figures[0].figures["value coverage"].value == 0.5  # one of two explanations, to the word
    assert evaluation.figures[0].figures["words"].value == 2


def test_a_judge_compares_with_prompted(world: World, found: Path) -> None:
    world.replies["pluralism"] = world.replies["perspectives"] = "Some say this."
    judge = judging()
    plan = world.plan("overton-judge", SITUATIONS, "prompted", "vanilla")
    first = evaluate([plan], found, judge=judge)
    assert first.tasks[0].scorer == judge.name
    assert first.tasks[0].primary == "win score"
    assert [figures.figures["tie"].value for figures in first.figures] == [1, 1]


def test_verdicts_are_kept_and_counted(world: World, found: Path) -> None:
    scripted = {"Kindness first.": "A synthesis.", **world.replies}  # the first that fits is said
    world.replies.clear()
    world.replies.update(scripted)
    plan = world.plan("overton-judge", SITUATIONS, "prompted", "modular")
    first, second = judging(), judging()
    before = evaluate([plan], found, judge=first)
    asked = len(engine_of(first.lm).requests)
    assert before.tokens["fake/lm"].calls == asked >= 2 * len(SITUATIONS)
    after = evaluate([plan], found, judge=second)
    assert (before.rows, before.tokens) == (after.rows, after.tokens)
    assert engine_of(second.lm).requests == ()


def test_a_pair_that_the_judge_fails_on_fails_alone(world: World, found: Path) -> None:
    plan = world.plan("overton-judge", SITUATIONS, "prompted", "modular")
    away = [plan.records.examples()[0].query]

    def prefers(prompt: str, text: str) -> float:
        if any(query in prompt for query in away):
            raise ConnectionError("the judge is away")
        return math.log(0.9 if "A" in text else 0.1)

    scripted = {"Kindness first.": "A synthesis.", **world.replies}  # the first that fits is said
    world.replies.clear()
    world.replies.update(scripted)
    judge = PairwiseJudge(fake_lm(likelihoods=prefers, num_retries=0), "letters")
    first = evaluate([plan], found, judge=judge)
    assert [(row.method, row.index) for row in first.failed] == [("modular", 0)]
    assert "the judge is away" in str(first.failed[0].error)
    assert first.failed[0].prediction is not None
    away.clear()
    assert evaluate([plan], found, judge=judge).failed == (), "it is judged by the same command"


def test_a_scorer_that_always_fails_ends_it_and_nothing_is_lost(world: World, found: Path) -> None:
    class Away:
        name = "nli:away"

        def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Any:
            if premises != ["It loads."]:
                raise ConnectionError("the scorer is away")

    plan = world.plan("overton-vk", SITUATIONS, "vanilla")
    with pytest.raises(RunError, match=r"no answer to overton-vk could be scored; .*the scorer is away"):
        evaluate([plan], found, scorer=Away())
    assert len(evaluate([plan], found, scorer=Words()).rows) == len(SITUATIONS)


def test_progress_tells_of_verdicts(world: World, found: Path) -> None:
    seen: list[Progress] = []
    plan = world.plan("overton-judge", SITUATIONS, "prompted", "modular")
    evaluate([plan], found, judge=judging(), on_progress=seen.append)
    assert [progress.done for progress in seen if progress.task == "overton-judge verdicts"] == [1, 2, 3, 4]


def test_a_judge_is_never_chosen_by_itself(world: World, found: Path) -> None:
    with pytest.raises(RunUsageError, match="an LM that judges; it needs both"):
        evaluate([world.plan("overton-judge", SITUATIONS)], found)
    assert not found.exists()


def test_a_task_without_a_metric_is_refused(world: World, found: Path) -> None:
    plan = world.plan(CHOICE, DILEMMAS, "vanilla")
    own = replace(plan.records, task=replace(plan.records.task, name="my-task"))
    with pytest.raises(RunUsageError, match="no metric for my-task; there is one for overton-vk"):
        evaluate([Plan(own, plan.programs)], found)
    assert world.calls() == (0, 0)


def test_one_option_needs_no_answer(world: World, found: Path) -> None:
    single = {**dilemma(3), "options": ["I stay."], "gold_distribution": [1.0]}
    evaluation = evaluate([world.plan(CHOICE, [*DILEMMAS, single], "vanilla")], found)
    last = evaluation.rows[-1]
    assert (last.prediction, last.error) == ({"option": "I stay.", "probabilities": {"I stay.": 1.0}}, None)
    assert math.isnan(last.score)
    assert evaluation.figures[0].figures["Jensen-Shannon distance"].n == 3


def test_progress_counts_what_was_done_before_and_what_failed(world: World, found: Path) -> None:
    seen: list[Progress] = []
    records = world.records(CHOICE, DILEMMAS)
    evaluate([Plan(records, {"stub": Stub("Situation 1?")})], found, on_progress=seen.append, workers=1)
    assert seen[0] == Progress(CHOICE, 0, 3, 0)
    assert seen[-1] == Progress(CHOICE, 3, 3, 1)
    seen.clear()
    evaluate([Plan(records, {"stub": Stub()})], found, on_progress=seen.append, workers=1)
    assert seen == [Progress(CHOICE, 2, 3, 0), Progress(CHOICE, 3, 3, 0)]


def test_tokens_are_counted_by_lm(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan("overton-vk", SITUATIONS, "modular")], found, scorer=Words())
    assert {model: tokens.calls for model, tokens in evaluation.tokens.items()} == {"fake/base": 2, "fake/voice": 4}
    assert evaluation.tokens["fake/voice"].output == 2 * 2 + 2 * 2
    assert evaluation.costs == {}


def test_progress_tells_what_lms_took_so_far(world: World, found: Path) -> None:
    seen: list[Progress] = []
    plan = world.plan(CHOICE, DILEMMAS, "vanilla", "modular")
    evaluation = evaluate([plan], found, on_progress=seen.append, workers=1)
    inputs = [progress.spent.input for progress in seen]
    assert inputs[0] == 0
    assert inputs == sorted(set(inputs)), "it grows with every row"
    assert inputs[-1] == sum(tokens.input for tokens in evaluation.tokens.values())
    evaluate([plan], found, on_progress=seen.append)
    assert seen[-1].spent.input == inputs[-1], "what earlier runs took is part of it"


def test_an_lm_that_scores_is_asked_once_and_counted(world: World, found: Path) -> None:
    plan = world.plan("overton-vk", SITUATIONS, "vanilla", "prompted")
    first, second = (JudgeScorer(fake_lm(likelihoods=lambda prompt, text: -1.0, name="judge")) for _ in range(2))
    seen: list[Progress] = []
    before = evaluate([plan], found, scorer=first, on_progress=seen.append)
    assert before.tasks[0].scorer == first.name
    assert before.tokens["fake/judge"].calls == len(engine_of(first.lm).requests) - 1 > 0
    scores = [progress for progress in seen if progress.task == "overton-vk scores"]
    assert [(progress.done, progress.total) for progress in scores] == [(done, 4) for done in (1, 2, 3, 4)]
    after = evaluate([plan], found, scorer=second)
    assert (after.rows, after.tokens) == (before.rows, before.tokens)
    assert len(engine_of(second.lm).requests) == 1, "more than to see that it can be asked"


def test_another_method_can_be_what_the_others_are_compared_with(world: World, found: Path) -> None:
    world.replies["Kindness first."] = "A synthesis."
    plans = [world.plan("overton-judge", SITUATIONS, "vanilla", "modular"), world.plan(CHOICE, DILEMMAS, "vanilla")]
    evaluation = evaluate(plans, found, judge=judging(), reference="vanilla")
    assert [(one.task, one.method, one.against) for one in evaluation.comparisons] == [
        ("overton-judge", "modular", "vanilla")
    ]
    vanilla = evaluation.figures[0]
    assert (vanilla.method, vanilla.figures["tie"].value) == ("vanilla", 1)


def test_a_full_disk_ends_the_evaluation_which_goes_on_where_there_is_room(
    world: World, found: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = world.plan(CHOICE, [dilemma(number) for number in range(40)], "vanilla", "modular")
    evaluate([Plan(plan.records, {"vanilla": plan.programs["vanilla"]})], found)
    open_file = Store._prepare

    def small(store: Store, path: Path) -> None:
        open_file(store, path)
        (pages,) = store._run("PRAGMA page_count")[0]
        store._run(f"PRAGMA max_page_count = {pages + 4}")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "_prepare", small)
        with pytest.raises(RunError, match=r"disk is full.*What it holds is kept"):
            evaluate([plan], found, workers=2)
    evaluation = evaluate([plan], found)
    assert len(evaluation.rows) == 80
    assert evaluation.failed == ()


def test_one_folder_has_one_writer(world: World, found: Path) -> None:
    class Meddling(Stub):
        def forward(self, query: str, options: list[str]) -> dspy.Prediction:
            evaluate([plan], found)
            raise AssertionError("two wrote at the same time")

    plan = Plan(world.records(CHOICE, DILEMMAS[:1]), {"stub": Meddling()})
    with pytest.raises(RunError, match="another run is writing"):
        evaluate([plan], found)


def test_a_program_of_another_mode_is_refused(world: World, found: Path) -> None:
    overton = Overton(world.base, world.pool)
    with pytest.raises(RunUsageError, match=r"mine cannot answer distributional-moralchoice.*Overton takes no options"):
        evaluate([Plan(world.records(CHOICE, DILEMMAS), {"mine": overton})], found)
    assert world.calls() == (0, 0)


@pytest.mark.parametrize("content", [b"nonsense " * 200, b""])
def test_a_file_that_is_something_else_is_left_as_it_is(world: World, found: Path, content: bytes) -> None:
    found.mkdir()
    (found / STORE).write_bytes(content)
    plan = world.plan(CHOICE, DILEMMAS, "vanilla")
    if content:
        with pytest.raises(RunError, match="cannot be read as the file of an evaluation"):
            evaluate([plan], found)
        assert (found / STORE).read_bytes() == content
    else:  # what a crash at the very beginning leaves
        assert len(evaluate([plan], found).rows) == 3


@pytest.mark.parametrize(("workers", "repeat", "said"), [(0, 1, "workers is 0"), (1, 2, "one plan for each")])
def test_nonsense_is_refused(world: World, found: Path, workers: int, repeat: int, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        evaluate([world.plan(CHOICE, DILEMMAS)] * repeat, found, workers=workers)


def test_all_of_it_is_json(world: World, found: Path) -> None:
    evaluation = evaluate([world.plan(CHOICE, DILEMMAS)], found)
    assert isinstance(evaluation, Evaluation)
    read: Any = saved(found)
    assert read["figures"][0]["figures"]["Jensen-Shannon distance"]["n"] == 3
    assert read["comparisons"][0]["comparison"]["p_value"] is None, "of so few situations"
    assert read["rows"][0]["prediction"]["option"] == "I stay."
    assert read["tokens"]["fake/voice"]["calls"] == 6
    assert read["settings"]["seed"] == 0
