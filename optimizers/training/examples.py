"""From comments to token ids, in the very prompt that a community LM is asked with; the loss is on the comment only.

This file knows prompts and tokens; it must not know how anything is trained.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ...data.corpus import Comment as CorpusComment
from ...programs.adapters import PlainAdapter
from ...programs.engines.backbone import ModelFacts
from ...programs.engines.scoring import Turn
from ...signatures.community import Comment

IGNORED = -100
"""The label of a token that no loss is taken of, as transformers has it."""


@dataclass(frozen=True)
class Tokens:
    """A comment as the model reads it: the ids of its prompt, and those it is to say, with the end of the turn."""

    prompt: tuple[int, ...]
    message: tuple[int, ...]


def encode(comment: CorpusComment, facts: ModelFacts) -> Tokens:
    """Token ids of a comment.

    Raises:
        ValueError: It is longer than the model's context.
    """
    rendered = PlainAdapter().format(Comment, demos=[], inputs={"query": comment.query})
    prompt = facts.chat.encode([Turn(turn["role"], turn["content"]) for turn in rendered])
    ending = () if facts.turn_end is None else (facts.turn_end,)
    message = (*facts.chat.encode_continuation(comment.message), *ending)
    if len(prompt) + len(message) > facts.context:
        raise ValueError(
            f"the comment on {comment.query[:60]!r} has {len(prompt) + len(message)} tokens with its prompt, and the "
            f"model reads {facts.context}; shorten it"
        )
    return Tokens(tuple(prompt), message)


def batch(rows: Sequence[Tokens]) -> dict[str, torch.Tensor]:
    """Rows padded on the right: `input_ids`, `attention_mask` and `labels`, each of shape (rows, longest)."""
    width = max(len(row.prompt) + len(row.message) for row in rows)
    return {
        "input_ids": torch.tensor([_padded([*row.prompt, *row.message], width, 0) for row in rows]),
        "attention_mask": torch.tensor([_padded([1] * len(row.prompt + row.message), width, 0) for row in rows]),
        "labels": torch.tensor([_padded([*[IGNORED] * len(row.prompt), *row.message], width, IGNORED) for row in rows]),
    }


def _padded(ids: Sequence[int], width: int, filling: int) -> list[int]:
    return [*ids, *[filling] * (width - len(ids))]
