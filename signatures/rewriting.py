"""What a prompt LM is asked when instructions are searched: another wording of what a predictor is told."""

import dspy


class Rewrite(dspy.Signature):
    """Rewrite the instructions for a small language model: plainer, in one or two sentences, with the same meaning."""

    purpose: str = dspy.InputField(desc="what the model is given and what it has to write")
    wording: str = dspy.InputField(desc="what it is told now")
    rewritten: str = dspy.OutputField(desc="the new instructions and nothing else")
