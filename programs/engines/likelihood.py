"""Log-likelihoods of continuations, many at once, with shared prefixes computed once.

Prompts and continuations with a common beginning form a tree of tokens; a tree is laid out in one row, where each token
attends to its ancestors only. One forward pass over some rows then gives every continuation's likelihood, with no
generation. This file knows token ids and tensors; it must not know chat turns or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import torch

from .backbone import Backbone
from .scoring import Likelihood

_HEAD_CHUNK = 256

_BREAK_EVEN = 1000
"""Width of a row, in tokens, at which attention across it costs as much as all else (measured on CPU, in bfloat16)."""


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

    def add(self, prompt: Sequence[int], continuation: Sequence[int]) -> None:
        """Insert a prompt (at least one token) and the continuation to score: a path of (node, next token) pairs."""
        node = -1
        for token in prompt:
            node = self._child(node, token)
        path = [(node, continuation[0])]
        for token, following in pairwise(continuation):
            node = self._child(node, token)
            path.append((node, following))
        self.scored.append(path)

    def shared(self, sequence: Sequence[int]) -> int:
        """How many tokens at the beginning of a sequence are in the tree already."""
        node = -1
        for depth, token in enumerate(sequence):
            found = self._children.get((node, token))
            if found is None:
                return depth
            node = found
        return len(sequence)

    def layout(self) -> tuple[np.ndarray, np.ndarray]:
        """Depth of every node, shape (nodes,), and whom it attends to, shape (nodes, nodes), in insertion order."""
        size = len(self.tokens)
        depths = np.zeros(size, dtype=np.int64)
        attends = np.zeros((size, size), dtype=bool)
        for node, parent in enumerate(self.parents):
            if parent >= 0:
                depths[node] = depths[parent] + 1
                attends[node] = attends[parent]
            attends[node, node] = True
        return depths, attends

    def _child(self, parent: int, token: int) -> int:
        key = (parent, token)
        if key not in self._children:
            self._children[key] = len(self.tokens)
            self.tokens.append(token)
            self.parents.append(parent)
        return self._children[key]


def plant(items: Sequence[TokenItem], limit: int) -> list[TokenTree]:
    """Gather items into trees, in order, wherever what they share is worth more than the wider row costs.

    Args:
        items: What to score.
        limit: Most tokens of a tree, unless a single prompt and continuation are longer.
    """
    trees: list[TokenTree] = []
    for item in items:
        for continuation in item.continuations:
            sequence = [*item.prompt, *continuation[:-1]]
            if not trees or not _worth_joining(trees[-1], sequence, limit):
                trees.append(TokenTree())
            trees[-1].add(item.prompt, continuation)
    return trees


def _worth_joining(tree: TokenTree, sequence: Sequence[int], limit: int) -> bool:
    size, alone = len(tree.tokens), len(sequence)
    joint = size + alone - tree.shared(sequence)
    return joint <= limit and _cost(joint) <= _cost(size) + _cost(alone)


def _cost(width: int) -> int:
    """Relative cost of a row of so many tokens."""
    return width * (_BREAK_EVEN + width)


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
