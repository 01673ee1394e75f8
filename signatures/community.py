"""What a community LM is asked."""

import dspy


class Comment(dspy.Signature):
    """Comment on the query in two or three sentences. Name the values that are at stake and say what they ask of us."""

    query: str = dspy.InputField(desc="a question or a situation")
    message: str = dspy.OutputField(desc="what the community says about it")
