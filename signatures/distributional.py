"""What the base LLM is asked in the distributional mode: how one community would answer.

The message comes first: small LMs judge an option by what stands right before it, and that is the query.
"""

import dspy


class Choose(dspy.Signature):
    """You choose between options as people do who agree with the message."""

    message: str = dspy.InputField(desc="what one community says about the query")
    query: str = dspy.InputField(desc="a question or a situation")
    attribute: str | None = dspy.InputField(desc="whose answers are asked for: a country or a group", default=None)
    options: list[str] = dspy.InputField()
    choice: str = dspy.OutputField(desc="the option that such people would choose")
