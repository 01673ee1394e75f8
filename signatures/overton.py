"""What the base LLM is asked in the Overton mode: one response that reflects every message."""

import dspy


class Synthesize(dspy.Signature):
    """Answer the query in one text. Use every numbered message: mention the view of each one, and leave none out."""

    query: str = dspy.InputField(desc="a question or a situation")
    messages: str = dspy.InputField(desc="what each community says about it, one per line")
    response: str = dspy.OutputField(desc="one text that reflects every message")


class Restate(dspy.Signature):
    """Say in one sentence what the message values and why, so that it answers the query."""

    query: str = dspy.InputField(desc="a question or a situation")
    message: str = dspy.InputField(desc="what one community says about it")
    sentence: str = dspy.OutputField(desc="the message in one sentence")
