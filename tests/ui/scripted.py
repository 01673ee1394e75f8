"""A pool whose LMs follow a script, so that what the pages show is known beforehand and there within seconds.

Every community names its value, whatever is asked. The base LLM is vague, and keeps half of what they say where it is
asked for a sentence for each message, so that a search of instructions finds something, and one of the synthesis more.
"""

from pathlib import Path

import dspy
from dspy.lm15 import Request

from modplural.programs.config import LMConfig
from modplural.programs.engines.fake import fake_lm, prompt_text

SAID = {
    "care": "Kindness protects those who would be hurt, because somebody fragile depends on it here.",
    "fairness": "Equal treatment is owed to everybody, since nobody should pay for the comfort of another.",
    "liberty": "Freedom to choose belongs to the person concerned, and pressure from others would take it away.",
    "loyalty": "Family and friends must be able to count on each other, which decides more than convenience.",
    "authority": "Duties and rules deserve respect, for they hold together what one person could not.",
    "sanctity": "Dignity is at stake, and what is honoured by many should not be treated as a mere thing.",
}
"""What each community says about everything."""

VAGUE = "It depends."
KEEPING = "Give each numbered message a sentence"
"""Part of the instructions that the base LLM follows; they are among those that are searched."""

_BASE, _SMALL = "openai/base", "openai/small"


def write_pool(file: Path) -> Path:
    """Write the pool file of these communities."""
    lines = [f"base: {{model: {_BASE}}}", f"community_base: {{model: {_SMALL}}}", "communities:"]
    lines += [f"  - {{name: {name}, description: People of {name}., persona: You speak for {name}.}}" for name in SAID]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def scripted_lm(config: LMConfig) -> dspy.LM:
    """Stands for `build_lm`: the LM of a name follows the script."""
    return fake_lm(_base if config.model == _BASE else _community, name=config.model.removeprefix("openai/"))


def _base(request: Request) -> str:
    return " ".join(list(SAID.values())[:3]) if KEEPING in prompt_text(request) else VAGUE


def _community(request: Request) -> str:
    prompt = prompt_text(request)
    return next(text for name, text in SAID.items() if f"You speak for {name}." in prompt)
