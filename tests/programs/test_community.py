"""One community: what its LM is asked, and that its examples outlive optimizers."""

import dspy
import pytest

from modplural.programs.community import CommunityLM
from modplural.programs.engines.fake import fake_lm, prompt_text

EXAMPLES = [dspy.Example(query="May one lie?", message="Lies hurt.")]


def echo(name: str = "lm") -> dspy.LM:
    return fake_lm(lambda request: f"About {request.messages[-1].text}", name=name)


async def test_a_community_comments_on_a_query_sync_and_async() -> None:
    community = CommunityLM("care", echo())
    assert community("stealing").message == "About stealing"
    assert (await community.acall("stealing")).message == "About stealing"
    assert community.lm.engine.prompts[0].endswith("\nstealing")


def test_persona_is_the_instructions_and_examples_are_earlier_turns() -> None:
    community = CommunityLM("care", echo(), persona="You care for others.", examples=EXAMPLES)
    community("stealing")
    assert community.lm.engine.prompts == ("You care for others.\nMay one lie?\nLies hurt.\nstealing",)


def test_without_persona_the_signature_tells_what_to_do() -> None:
    community = CommunityLM("care", echo())
    community("stealing")
    assert prompt_text(community.lm.engine.requests[0]).startswith("Comment on the query")


def test_description_is_the_name_where_nothing_was_said() -> None:
    assert CommunityLM("care", echo()).description == "care"
    assert CommunityLM("care", echo(), description=" \n").description == "care"
    assert CommunityLM("care", echo(), description="Those who care.").description == "Those who care."


def test_optimizers_change_demos_and_never_the_examples() -> None:
    community = CommunityLM("care", echo(), persona="You care.", examples=EXAMPLES)
    learned = dspy.Example(query="May one cheat?", message="It hurts.").with_inputs("query")
    compiled = dspy.LabeledFewShot(k=1).compile(community, trainset=[learned])
    compiled("stealing")
    assert community.lm.engine.prompts[-1] == "You care.\nMay one lie?\nLies hurt.\nMay one cheat?\nIt hurts.\nstealing"
    compiled.reset_copy()("stealing")
    assert community.lm.engine.prompts[-1] == "You care.\nMay one lie?\nLies hurt.\nstealing"
    assert [name for name, _ in compiled.named_predictors()] == ["comment"]


def test_copies_share_the_lm_and_nothing_else() -> None:
    community = CommunityLM("care", echo(), examples=EXAMPLES)
    copied = community.deepcopy()
    assert copied.lm is community.lm
    copied.comment.demos.append(EXAMPLES[0])
    copied.examples.clear()
    assert (community.comment.demos, len(community.examples)) == ([], 1)


@pytest.mark.parametrize("name", ["", "Care", "news left", "care]", "a\nb", "-a", "a__b", "die-älteren"])
def test_a_name_that_does_not_fit_everywhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is no name for a community"):
        CommunityLM(name, echo())


def test_an_empty_persona_and_incomplete_examples_are_refused() -> None:
    with pytest.raises(ValueError, match="the persona of 'care' is empty"):
        CommunityLM("care", echo(), persona=" ")
    with pytest.raises(ValueError, match="an example of 'care' needs a query and a message"):
        CommunityLM("care", echo(), examples=[dspy.Example(query="May one lie?")])


def test_the_lm_that_is_set_speaks() -> None:
    community, other = CommunityLM("care", echo("one")), echo("other")
    community.set_lm(other)
    assert community("stealing").message == "About stealing"
    assert community.get_lm() is other
    assert len(other.engine.requests) == 1
    with pytest.raises(TypeError, match="'openai/any' is no LM"):
        community.set_lm("openai/any")
