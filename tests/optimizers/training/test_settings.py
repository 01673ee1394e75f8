"""Settings: how many comments a step takes."""

import pytest

from modplural.optimizers.training import TrainingSettings


@pytest.mark.parametrize(("comments", "taken"), [(1, 1), (3, 1), (11, 2), (27, 6), (32, 8), (1000, 8)])
def test_a_small_corpus_is_parted_into_steps(comments: int, taken: int) -> None:
    assert TrainingSettings().comments_per_step(comments) == taken


def test_a_batch_size_that_was_given_stays() -> None:
    assert TrainingSettings(batch_size=16).comments_per_step(11) == 16
