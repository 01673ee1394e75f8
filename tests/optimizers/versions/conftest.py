"""What the tests of versions share: saved programs whose LMs are on nobody's server, and scores."""

from collections.abc import Callable
from pathlib import Path

import dspy
import pytest

from modplural.optimizers.versions import RowScore, Scores
from modplural.programs.community import CommunityLM
from modplural.programs.overton import Overton
from modplural.programs.pool import CommunityPool

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Saves an Overton program with an instruction of the test's."""

    def save(name: str = "saved", instructions: str = "Answer for all of them.") -> Path:
        lm = dspy.LM("hosted_vllm/small", api_base="http://127.0.0.1:8000/v1")
        pool = CommunityPool([CommunityLM("care", lm, persona="You care."), CommunityLM("liberty", lm)])
        program = Overton(dspy.LM("openai/gpt-4o-mini"), pool)
        program.synthesize.signature = program.synthesize.signature.with_instructions(instructions)
        program.save(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def scores() -> Callable[..., Scores]:
    """Scores of twenty rows around a value, two of each situation."""

    def scores(value: float, *, noise: float = 0.0, rows: bool = True, **changes: object) -> Scores:
        low_and_high = [value - noise, value + noise]
        each = [
            RowScore(record=str(n), group=str(n // 2), score=low_and_high[n // 2 % 2]) for n in range(20 if rows else 0)
        ]
        return Scores.model_validate(
            {
                "task": "overton-vk",
                "figure": "value coverage",
                "value": value,
                "low": value - 0.05,
                "high": value + 0.05,
                "n": 20,
                "digest": "d" * 64,
                "rows": each,
                **changes,
            }
        )

    return scores
