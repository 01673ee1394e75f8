"""The benchmark of communities tells them apart by what they say, and judges what it prints."""

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest


@pytest.fixture
def communities(benchmark: Any) -> Any:
    return benchmark("communities")


@pytest.mark.slow
def test_quick_run_prints_both_figures_and_draws_them(
    communities: Any, smollm2: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "communities.png"
    code = communities.main(["--quick", "--picture", str(picture)])

    printed = capsys.readouterr().out
    assert code == os.EX_OK
    assert max(map(len, printed.splitlines())) <= 100
    assert "At home" in printed and "personas" in printed
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_an_adapter_is_at_home_where_it_is_the_best_or_nearly(communities: Any) -> None:
    values = np.array([[20.0, 30.0, 40.2], [25.0, 29.8, 40.0], [25.0, 33.0, 40.1]])
    found = communities.Perplexities(("care", "fairness", "liberty"), values, values[0])
    assert found.at_home == ("care", "fairness", "liberty")

    values[2, 2] = 41.0
    assert found.at_home == ("care", "fairness")


def test_messages_are_told_by_the_nearest_centroid_of_other_situations(communities: Any) -> None:
    told = communities.tell(
        {
            "dogs": ["Dogs bark at strangers.", "A puppy needs a walk.", "The dog wags its tail."],
            "taxes": ["Taxes pay for schools.", "The budget has a deficit.", "A dog barked at the puppy."],
        }
    )
    assert told.counts.tolist() == [[3, 0], [1, 2]]
    assert told.share == pytest.approx(5 / 6)
