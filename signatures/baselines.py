"""What the base LLM is asked without a pool, and by the mixture of experts.

Each question comes plainly and with the attribute whose standpoint is wanted; `...Pluralistically` asks for pluralism
as well. The fields are those of the modes, so that a demo for one fits the other.
"""

import dspy


class Answer(dspy.Signature):
    """Answer the query."""

    query: str = dspy.InputField(desc="a question or a situation")
    response: str = dspy.OutputField()


class AnswerFor(dspy.Signature):
    """Answer the query as the attribute asks."""

    query: str = dspy.InputField(desc="a question or a situation")
    attribute: str = dspy.InputField(desc="a value or a group of people")
    response: str = dspy.OutputField(desc="the answer that reflects the attribute")


class Choose(dspy.Signature):
    """You choose between options."""

    query: str = dspy.InputField(desc="a question or a situation")
    options: list[str] = dspy.InputField()
    choice: str = dspy.OutputField()


class ChooseFor(dspy.Signature):
    """You choose between options as the attribute asks."""

    query: str = dspy.InputField(desc="a question or a situation")
    attribute: str = dspy.InputField(desc="a value or a group of people")
    options: list[str] = dspy.InputField()
    choice: str = dspy.OutputField(desc="the option that reflects the attribute")


class AnswerPluralistically(Answer):
    """Answer the query. Reflect the diverse values and perspectives that people have on it."""


class AnswerPluralisticallyFor(AnswerFor):
    """Answer the query as the attribute asks. Keep in mind how diverse people's values and perspectives are."""


class ChoosePluralistically(Choose):
    """You choose between options, mindful of people's diverse values and perspectives."""


class ChoosePluralisticallyFor(ChooseFor):
    """You choose between options as the attribute asks, mindful of people's diverse values and perspectives."""


class Route(dspy.Signature):
    """Choose the community that can answer the query best."""

    query: str = dspy.InputField(desc="a question or a situation")
    options: list[str] = dspy.InputField(desc="the communities and who they are")
    choice: str = dspy.OutputField(desc="the community that can answer best")


class AnswerFrom(dspy.Signature):
    """Answer the query. Use the message and nothing else."""

    query: str = dspy.InputField(desc="a question or a situation")
    message: str = dspy.InputField(desc="what one community says about the query")
    response: str = dspy.OutputField(desc="the answer, from the message alone")
