"""Log-likelihoods of continuations, many at once, with every shared prefix computed once.

Prompts and continuations of one request form a tree of tokens; the tree is laid out in one row, where each token attends
to its ancestors only. One forward pass over some rows then gives every continuation's likelihood, with no generation.
This file knows token ids and tensors; it must not know chat turns or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from .backbone import Backbone
from .scoring import Likelihood

_HEAD_CHUNK = 256


@dataclass(frozen=True)
class TokenItem:
    """A prompt and the continuations to score after it, as token ids."""

    prompt: tuple[int, ...]
    continuations: tuple[tuple[int, ...], ...]


@dataclass
class TokenTree:
    """Token sequences with their common prefixes stored once; `scored` are the paths whose likelihood is wanted."""

    tokens: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    scored: list[list[tuple[int, int]]] = field(default_factory=list)
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, item: TokenItem) -> None:
        """Insert an item; each continuation becomes a path of (node, next token) pairs."""
        node = -1
        for token in item.prompt:
            node = self._child(node, token)
        for continuation in item.continuations:
            at, path = node, []
            for position, token in enumerate(continuation):
                path.append((at, token))
                if position < len(continuation) - 1:
                    at = self._child(at, token)
            self.scored.append(path)

    def _child(self, parent: int, token: int) -> int:
        key = (parent, token)
        if key not in self._children:
            self._children[key] = len(self.tokens)
            self.tokens.append(token)
            self.parents.append(parent)
        return self._children[key]

    def layout(self) -> tuple[np.ndarray, np.ndarray]:
        """Depth of every node, shape (nodes,), and who attends to whom, shape (nodes, nodes), both in insertion order."""
        size = len(self.tokens)
        depths = np.zeros(size, dtype=np.int64)
        attends = np.zeros((size, size), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                depths[node] = depths[parent] + 1
                attends[node] = attends[parent]
            attends[node, node] = True
        return depths, attends


def plant(items: Sequence[TokenItem], limit: int) -> list[TokenTree]:
    """Gather items into trees of about `limit` tokens, in order; a tree holds at least one item."""
    trees = [TokenTree()]
    for item in items:
        longest = len(item.prompt) + sum(len(c) - 1 for c in item.continuations)
        if trees[-1].tokens and len(trees[-1].tokens) + longest > limit and not _shares(trees[-1], item, limit):
            trees.append(TokenTree())
        trees[-1].add(item)
    return trees


def _shares(tree: TokenTree, item: TokenItem, limit: int) -> bool:
    """Whether the item still fits because most of its prompt is in the tree already."""
    node, new = -1, sum(len(c) - 1 for c in item.continuations)
    for depth, token in enumerate(item.prompt):
        child = tree._children.get((node, token))
        if child is None:
            new += len(item.prompt) - depth
            break
        node = child
    return len(tree.tokens) + new <= limit


def score_trees(
    backbone: Backbone, trees: Sequence[TokenTree], adapters: Sequence[str | None]
) -> list[list[Likelihood]]:
    """Likelihoods of every tree's continuations, in one forward pass.

    Args:
        backbone: The model.
        trees: One per row of the batch.
        adapters: One per row.

    Returns:
        One list per tree, in the order its continuations were added.
    """
    width = max(len(tree.tokens) for tree in trees)
    ids = np.zeros((len(trees), width), dtype=np.int64)
    depths = np.zeros((len(trees), width), dtype=np.int64)
    attends = np.broadcast_to(np.eye(width, dtype=bool), (len(trees), width, width)).copy()
    for row, tree in enumerate(trees):
        size = len(tree.tokens)
        ids[row, :size] = tree.tokens
        depths[row, :size], attends[row, :size, :size] = tree.layout()
    wanted = sorted({row * width + node for row, tree in enumerate(trees) for path in tree.scored for node, _ in path})
    device = backbone.device
    logits = backbone.read(
        torch.from_numpy(ids).to(device),
        torch.from_numpy(depths).to(device),
        torch.from_numpy(attends).to(device)[:, None],
        torch.tensor(wanted, device=device),
        adapters,
    )
    return _collect(logits, trees, width, {flat: index for index, flat in enumerate(wanted)})


def _collect(
    logits: torch.Tensor, trees: Sequence[TokenTree], width: int, index: dict[int, int]
) -> list[list[Likelihood]]:
    """Sum the log-probabilities along every path; normalizers are computed in chunks to bound memory."""
    norms = torch.cat([chunk.float().logsumexp(dim=-1) for chunk in logits.split(_HEAD_CHUNK)])
    steps = [(index[row * width + n], t) for row, tree in enumerate(trees) for path in tree.scored for n, t in path]
    rows = torch.tensor([row for row, _ in steps], device=logits.device)
    tokens = torch.tensor([token for _, token in steps], device=logits.device)
    values = iter((logits[rows, tokens].float() - norms[rows]).tolist())
    return [[Likelihood(sum(next(values) for _ in path), len(path)) for path in tree.scored] for tree in trees]
