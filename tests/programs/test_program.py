"""Programs under DSPy's optimizers: every LM binding, learned value and parameter name survives what they do."""

import json
from pathlib import Path
from typing import Any

import dspy
import pytest

from modplural.programs.baselines import Vanilla
from modplural.programs.choice import MeasuredChoice
from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm, prompt_text
from modplural.programs.errors import SavedProgramError
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool
from modplural.programs.program import Program, Stepped
from modplural.programs.question import Question
from modplural.programs.steps import Call, Steps

TRAINSET = [
    dspy.Example(query=f"May one {deed}?", response=f"Views differ on whether one may {deed}.").with_inputs("query")
    for deed in ("lie", "cheat", "steal", "brag")
]
PARAMETERS = [
    "pool.communities['care'].comment",
    "pool.communities['liberty'].comment",
    "pool.weights",
    "synthesis",
    "synthesize",
    "restate",
]


def respond(request: dspy.lm15.Request) -> str:
    query = prompt_text(request).split("Query: ")[-1].split("\n")[0]
    return query.replace("May one", "Views differ on whether one may").replace("?", ".")


@pytest.fixture
def program() -> Overton:
    """Every community and the base LLM on an LM of its own, which says whose it is."""
    pool = CommunityPool(
        CommunityLM(name, fake_lm({"": f"{name} speaks."}, name=name), persona=f"You are {name}.")
        for name in ("care", "liberty")
    )
    program = Overton(fake_lm(respond, name="base"), pool)
    program.pool.weights.update({"care": 3.0})
    return program


def metric(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> bool:
    return bool(example.response == prediction.response)


def lms(program: Overton) -> list[dspy.LM]:
    return [*(member.lm for member in program.pool), program.base]


def assert_bound(compiled: Overton, original: Overton) -> None:
    """Everybody is asked through the LM that was bound, and through no other."""
    before = [len(lm.engine.requests) for lm in lms(original)]
    with dspy.context(lm=fake_lm({"": "the ambient LM speaks"})):
        found = compiled("May one boast?")
    assert [message.text for message in found.messages] == ["care speaks.", "liberty speaks."]
    assert found.response == "Views differ on whether one may boast."
    assert [len(lm.engine.requests) for lm in lms(original)] == [count + 1 for count in before]
    assert [name for name, _ in compiled.named_parameters()] == PARAMETERS
    assert dict(compiled.pool.weights) == {"care": 3.0, "liberty": 1.0}


def test_a_program_is_bound_and_its_parameters_are_named(program: Overton) -> None:
    assert_bound(program, program)


@pytest.mark.parametrize("copy", [dspy.Module.deepcopy, dspy.Module.reset_copy], ids=["deepcopy", "reset_copy"])
def test_copies_are_bound_and_independent(program: Overton, copy: Any) -> None:
    copied = copy(program)
    assert_bound(copied, program)
    assert all(lm is other for lm, other in zip(lms(copied), lms(program), strict=True))
    copied.synthesize.demos.append(TRAINSET[0])
    copied.synthesis.value = "refine"
    copied.pool.remove("care")
    assert_bound(program, program)
    assert (program.synthesis.value, program.synthesize.demos) == ("joint", [])


def test_labeled_few_shot_keeps_every_binding(program: Overton) -> None:
    compiled = dspy.LabeledFewShot(k=2).compile(program, trainset=TRAINSET)
    assert_bound(compiled, program)
    shown = [message.text for message in program.base.engine.requests[-1].messages]
    assert len(shown) == 5
    assert shown[1].startswith("Views differ on whether one may")


def test_bootstrap_few_shot_keeps_every_binding_and_draws_demos_from_the_trace(program: Overton) -> None:
    optimizer = dspy.BootstrapFewShot(metric, max_bootstrapped_demos=2, max_labeled_demos=0)
    compiled = optimizer.compile(program, trainset=TRAINSET)
    assert_bound(compiled, program)
    assert [demo.query for demo in compiled.synthesize.demos] == ["May one lie?", "May one cheat?"]
    assert compiled.synthesize.demos[0].messages == "1. [care] care speaks.\n2. [liberty] liberty speaks."
    assert [demo.message for demo in compiled.pool["care"].comment.demos] == ["care speaks."] * 2
    assert compiled.restate.demos == []


def test_an_instruction_optimizer_keeps_every_binding(program: Overton) -> None:
    proposal = (
        "[[ ## proposed_instruction ## ]]\nBe fair to all.\n\n"
        "[[ ## proposed_prefix_for_output_field ## ]]\nResponse:\n\n[[ ## completed ## ]]"
    )
    optimizer = dspy.COPRO(prompt_model=fake_lm({"": proposal}), metric=metric, breadth=2, depth=1)
    compiled = optimizer.compile(program, trainset=TRAINSET[:1], eval_kwargs={"display_progress": False})
    assert_bound(compiled, program)
    assert any("Be fair to all." in prompt for prompt in program.base.engine.prompts)


def test_further_samples_are_drawn_from_the_bound_lms(program: Overton, dspy_cache: object) -> None:
    for lm in lms(program):
        lm.cache = True
    best_of = dspy.BestOfN(program, N=3, reward_fn=lambda arguments, prediction: 0.0, threshold=1.0)
    assert best_of(query="May one boast?").response == "Views differ on whether one may boast."
    assert [len(lm.engine.requests) for lm in lms(program)] == [3, 3, 3]
    assert {request.config.temperature for lm in lms(program) for request in lm.engine.requests} == {1.0}


async def test_the_lm_that_is_set_is_the_base(run: Any, program: Overton) -> None:
    other = fake_lm({"": "The other LM speaks."}, name="other")
    before = len(program.base.engine.requests)
    copied = program.deepcopy()
    copied.set_lm(other)
    found = await run(copied, "May one boast?")
    assert found.response == "The other LM speaks."
    assert [message.text for message in found.messages] == ["care speaks.", "liberty speaks."]
    assert copied.get_lm() is other
    assert len(program.base.engine.requests) == before
    with pytest.raises(TypeError, match="None is no LM, so nobody could be asked"):
        copied.set_lm(None)


def test_a_teacher_that_simba_sets_answers(program: Overton) -> None:
    teacher = fake_lm({"": "The teacher speaks."}, name="teacher", temperature=1.0, rollout_id=1)
    candidate = program.deepcopy()
    candidate.set_lm(teacher)
    assert candidate("May one boast?").response == "The teacher speaks."


def test_evaluation_in_threads(program: Overton) -> None:
    evaluate = dspy.Evaluate(devset=TRAINSET * 4, metric=metric, num_threads=8, display_progress=False)
    assert evaluate(program).score == 100.0


async def test_arguments_are_checked_before_anybody_is_asked() -> None:
    program = Vanilla(fake_lm())
    with pytest.raises(TypeError, match="query must be a text"):
        program(3)
    with pytest.raises(ValueError, match="query is empty"):
        await program.acall(" ")


def test_a_users_own_program_is_driven_like_the_others() -> None:
    class Twice(Program):
        def __init__(self, base: dspy.LM) -> None:
            super().__init__(base)
            self.say = dspy.Predict("query -> response")

        def answer(self, question: Question) -> Steps[dspy.Prediction]:
            first, second = yield [Call(self.say, {"query": question.query}, self.base)] * 2
            return dspy.Prediction(response=first.response + second.response)

    assert Twice(fake_lm({"": "yes"}))("q").response == "yesyes"


def modules() -> list[dspy.Module]:
    community = CommunityLM("care", fake_lm())
    return [
        community,
        CommunityPool([community]),
        Vanilla(fake_lm()),
        MeasuredChoice("query, options: list[str] -> choice"),
    ]


@pytest.mark.parametrize("module", modules(), ids=lambda module: type(module).__name__)
def test_no_module_is_pickled(module: dspy.Module, tmp_path: Path) -> None:
    for path, settings in (
        ("a.pkl", {}),
        ("a", {"save_program": True}),
        ("a.json", {"save_program": True}),
        ("a", {"modules_to_serialize": [json]}),
    ):
        with pytest.raises(SavedProgramError, match=r"pickles run code when they are read, so no .* is saved as one"):
            module.save(tmp_path / path, **settings)
    for path, settings in (
        ("a.pkl", {}),
        ("a.json", {"allow_pickle": True}),
        ("a.json", {"allow_unsafe_lm_state": True}),
    ):
        with pytest.raises(SavedProgramError, match="programs are loaded from JSON"):
            module.load(tmp_path / path, **settings)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("module", modules(), ids=lambda module: type(module).__name__)
def test_every_module_has_a_state_file(module: dspy.Module, tmp_path: Path) -> None:
    module.save(tmp_path / "a.json")
    before = module.dump_state()
    module.load(tmp_path / "a.json")
    assert module.dump_state() == before


def test_the_state_of_a_pool_holds_no_lm(program: Overton, tmp_path: Path) -> None:
    program.set_lm(dspy.LM("openai/any", headers={"Authorization": "Bearer canary"}))
    program.pool.save(tmp_path / "a.json")
    assert "canary" not in (tmp_path / "a.json").read_text()


@pytest.mark.parametrize(("kind", "arguments"), [(Program, (fake_lm(),)), (Stepped, ())])
def test_a_program_without_logic_says_so(kind: Any, arguments: tuple[Any, ...]) -> None:
    class Unfinished(kind):  # type: ignore[misc]
        pass

    with pytest.raises(NotImplementedError, match="Unfinished says nothing about"):
        Unfinished(*arguments)(query="q")
