"""Programs to be saved, and edits of what was saved, for the tests of saved programs."""

from collections.abc import Callable
from typing import Any

import dspy

from modplural.programs.baselines import Prompted, Vanilla
from modplural.programs.community import CommunityLM
from modplural.programs.distributional import Distributional
from modplural.programs.measurement import Measurement
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool
from modplural.programs.program import Program

Edit = Callable[[Any], Any]
EXAMPLE = dspy.Example(query="May one lie?", message="Lies hurt.")


def served_pool() -> CommunityPool:
    """Communities on a server that is never asked."""
    lm = dspy.LM("hosted_vllm/care", api_base="http://127.0.0.1:8000/v1", temperature=0.5, max_tokens=64)
    care = CommunityLM("care", lm, description="Those who care.", persona="You care.", examples=[EXAMPLE])
    return CommunityPool([care, CommunityLM("liberty", lm)])


def served(kind: type[Program], pool: CommunityPool | None = None) -> Any:
    base = dspy.LM("openai/gpt-4o-mini", temperature=0.0)
    return kind(base) if kind in (Vanilla, Prompted) else kind(base, pool or served_pool())  # type: ignore[call-arg]


def learn(program: Any) -> None:
    """Change every learned thing a program has."""
    for place, (_, predictor) in enumerate(program.named_predictors()):
        predictor.signature = predictor.signature.with_instructions(f"Learned instructions {place}.")
        predictor.demos = [dspy.Example(augmented=True, query=f"Demo {place}?", response="Yes.", choice="yes")]
    if isinstance(program, Overton):
        program.synthesis.value = "refine"
    if isinstance(program, Distributional):
        program.pooling.value = "logarithmic"
        program.choose.measurement = Measurement("letters", temperature=2.5)
    if hasattr(program, "pool"):
        program.pool.weights.update({"care": 0.25})


def put(path: str, value: Any) -> Edit:
    """An edit that sets one value, at a path such as `a/b/0/c`."""

    def edit(data: Any) -> Any:
        *parents, last = [int(part) if part.isdigit() else part for part in path.split("/")]
        place = data
        for parent in parents:
            place = place[parent]
        place[last] = value
        return data

    return edit


def drop(key: str) -> Edit:
    return lambda data: {name: value for name, value in data.items() if name != key}
