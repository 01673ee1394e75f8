"""The plain adapter: the turns an LM is shown, what becomes of its answer, and DSPy's optimizers over both."""

import dspy
import pytest
from dspy.utils.exceptions import AdapterParseError

from modplural.programs.adapters import PlainAdapter
from modplural.programs.engines.fake import fake_lm, prompt_text


class Ask(dspy.Signature):
    """Answer briefly."""

    query: str = dspy.InputField()
    answer: str = dspy.OutputField()


class Weigh(dspy.Signature):
    """Weigh the views."""

    query: str = dspy.InputField()
    attribute: str | None = dspy.InputField(default=None)
    views: list[str] = dspy.InputField()
    verdict: str = dspy.OutputField()


class Rate(dspy.Signature):
    """Rate it."""

    query: str = dspy.InputField()
    score: int = dspy.OutputField()


def turns(signature: type[dspy.Signature], demos: list[dict[str, object]] | None = None, **inputs: object) -> list[str]:
    found = PlainAdapter().format(signature, demos or [], inputs)
    return [f"{turn['role']}: {turn['content']}" for turn in found]


def test_one_input_is_given_bare() -> None:
    assert turns(Ask, query="Is it right?") == ["system: Answer briefly.", "user: Is it right?"]


def test_several_inputs_are_labelled_and_missing_ones_left_out() -> None:
    views = ["It is kind.", "It is fair."]
    assert turns(Weigh, query="Is it right?", views=views)[1] == (
        "user: Query: Is it right?\n\nViews:\n- It is kind.\n- It is fair."
    )
    assert "Attribute: care\n\n" in turns(Weigh, query="Is it right?", attribute="care", views=views)[1]


def test_labels_are_the_prefixes_that_optimizers_may_change() -> None:
    signature = Weigh.with_updated_fields("query", prefix="Situation:")
    assert turns(signature, query="Is it right?", views=[])[1].startswith("user: Situation: Is it right?")


def test_demos_are_earlier_turns() -> None:
    demos = [{"query": "Is it kind?", "answer": "Yes."}, {"query": "Is it fair?", "answer": "No."}]
    assert turns(Ask, demos, query="Is it right?") == [
        "system: Answer briefly.",
        "user: Is it kind?",
        "assistant: Yes.",
        "user: Is it fair?",
        "assistant: No.",
        "user: Is it right?",
    ]


def test_demos_with_some_inputs_come_first_and_those_that_show_nothing_are_left_out() -> None:
    complete = {"query": "Q1", "attribute": "care", "views": ["V1"], "verdict": "A1"}
    some_inputs = {"query": "Q2", "verdict": "A2"}
    nothing_to_learn = [
        {"query": "Q3"},
        {"query": "Q4", "verdict": ""},
        {"query": "Q5", "verdict": None},
        {"verdict": "A6"},
    ]
    found = turns(Weigh, [complete, *nothing_to_learn, some_inputs], query="Q", views=["V"])
    assert found[1:5] == [
        "user: Query: Q2",
        "assistant: A2",
        "user: Query: Q1\n\nAttribute: care\n\nViews:\n- V1",
        "assistant: A1",
    ]
    assert len(found) == 6


def test_the_whole_completion_is_the_output() -> None:
    reply = "  Kindness matters.\n\n[[ ## answer ## ]]\nSo does fairness.\n"
    with dspy.context(lm=fake_lm({"": reply}), adapter=PlainAdapter()):
        assert dspy.Predict(Ask)(query="Is it right?").answer == reply.strip()


@pytest.mark.parametrize("reply", ["", " \n\t"])
def test_an_empty_completion_is_a_parse_error_after_one_call(reply: str) -> None:
    lm = fake_lm(lambda request: reply)
    with dspy.context(lm=lm, adapter=PlainAdapter()), pytest.raises(AdapterParseError, match="empty"):
        dspy.Predict(Ask)(query="Is it right?")
    assert len(lm.engine.requests) == 1


async def test_async_calls_are_rendered_and_fail_alike() -> None:
    lm = fake_lm({"right": "Yes.", "wrong": " "})
    with dspy.context(lm=lm, adapter=PlainAdapter()):
        assert (await dspy.Predict(Ask).acall(query="Is it right?")).answer == "Yes."
        with pytest.raises(AdapterParseError, match="empty"):
            await dspy.Predict(Ask).acall(query="Is it wrong?")
    assert lm.engine.prompts == ("Answer briefly.\nIs it right?", "Answer briefly.\nIs it wrong?")


def test_typed_output_is_asked_for_as_dspy_does_with_its_fallback() -> None:
    lm = fake_lm(lambda request: '{"score": 4}')
    with dspy.context(lm=lm, adapter=PlainAdapter()):
        assert dspy.Predict(Rate)(query="Is it right?").score == 4
    assert "[[ ## score ## ]]" in lm.engine.prompts[0]
    assert len(lm.engine.requests) == 2


async def test_several_outputs_are_asked_for_as_dspy_does_under_asyncio() -> None:
    reply = "[[ ## reasoning ## ]]\nIt helps.\n\n[[ ## answer ## ]]\nYes.\n\n[[ ## completed ## ]]"
    lm = fake_lm(lambda request: reply)
    with dspy.context(lm=lm, adapter=PlainAdapter()):
        found = await dspy.ChainOfThought(Ask).acall(query="Is it right?")
    assert (found.reasoning, found.answer) == ("It helps.", "Yes.")


def test_finetuning_data_shows_the_same_turns() -> None:
    data = PlainAdapter().format_finetune_data(Ask, [], {"query": "Is it right?"}, {"answer": "Yes."})
    assert [turn["content"] for turn in data["messages"]] == ["Answer briefly.", "Is it right?", "Yes."]


TRAINSET = [
    dspy.Example(query=f"Is it {quality}?", answer=f"It is {quality}.").with_inputs("query")
    for quality in ("kind", "fair", "loyal", "clean")
]


def echo(request: dspy.lm15.Request) -> str:
    return request.messages[-1].text.replace("Is it", "It is").replace("?", ".")


def exact(example: dspy.Example, prediction: dspy.Prediction, trace: object = None) -> bool:
    return bool(example.answer == prediction.answer)


def test_few_shot_optimizers_place_demos_as_turns() -> None:
    lm = fake_lm(echo)
    with dspy.context(lm=lm, adapter=PlainAdapter()):
        for optimizer in (dspy.LabeledFewShot(k=2), dspy.BootstrapFewShot(exact, max_bootstrapped_demos=2)):
            compiled = optimizer.compile(dspy.Predict(Ask), trainset=TRAINSET)
            assert compiled(query="Is it free?").answer == "It is free."
            last = lm.engine.requests[-1]
            assert [message.role for message in last.messages][:3] == ["user", "assistant", "user"]
            assert "[[ ##" not in prompt_text(last)


def test_an_instruction_optimizer_proposes_through_the_same_adapter() -> None:
    def reply(request: dspy.lm15.Request) -> str:
        if "proposed_instruction" in prompt_text(request):
            return (
                "[[ ## proposed_instruction ## ]]\nRepeat it as a statement.\n\n"
                "[[ ## proposed_prefix_for_output_field ## ]]\nAnswer:\n\n[[ ## completed ## ]]"
            )
        return echo(request) if "statement" in prompt_text(request) else "I do not know."

    with dspy.context(lm=fake_lm(reply), adapter=PlainAdapter()):
        optimizer = dspy.COPRO(metric=exact, breadth=2, depth=1)
        compiled = optimizer.compile(dspy.Predict(Ask), trainset=TRAINSET, eval_kwargs={"display_progress": False})
    assert compiled.signature.instructions == "Repeat it as a statement."
