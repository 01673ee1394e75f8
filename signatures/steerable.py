"""What the base LLM is asked in the steerable mode: which message reflects an attribute, and the answer from there.

Where options are to be judged, the message comes first: small LMs judge an option by what stands right before it.
"""

import dspy


class Select(dspy.Signature):
    """Choose the message that best reflects the attribute."""

    query: str = dspy.InputField(desc="a question or a situation")
    attribute: str = dspy.InputField(desc="a value or a group of people")
    options: list[str] = dspy.InputField(desc="what each community says about the query")
    choice: str = dspy.OutputField(desc="the message that best reflects the attribute")


class Answer(dspy.Signature):
    """Answer the query as the attribute asks. Use the message."""

    query: str = dspy.InputField(desc="a question or a situation")
    attribute: str = dspy.InputField(desc="a value or a group of people")
    message: str = dspy.InputField(desc="what a community that reflects the attribute says about the query")
    response: str = dspy.OutputField(desc="the answer that reflects the attribute")


class Choose(dspy.Signature):
    """You choose between options as the attribute asks. You use the message."""

    message: str = dspy.InputField(desc="what a community that reflects the attribute says about the query")
    query: str = dspy.InputField(desc="a question or a situation")
    attribute: str = dspy.InputField(desc="a value or a group of people")
    options: list[str] = dspy.InputField()
    choice: str = dspy.OutputField(desc="the option that reflects the attribute")
