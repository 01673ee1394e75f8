"""A key/value cache of slots: rows join and leave a running batch without copying the others.

Each row keeps its own length, so nothing is padded on the left: a new row is written into a free slot while the others
stay where they are, and a row that leaves is replaced by the last one. This file knows tensors only.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

_BLOCK = 64


@dataclass
class _Place:
    """Where the next forward pass writes: a run of new rows, or one position in each running row."""

    start: int
    rows: int
    positions: torch.Tensor | None
    visible: int


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, shape (slots, heads, positions, head size)."""

    def __init__(self, cache: SlotCache) -> None:
        """A layer without storage; the first write allocates it."""
        super().__init__()
        self._cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate zeros: a masked position must never hold a NaN, which the softmax's zero would not cancel."""
        slots, length = self._cache.slots, self._cache.length
        self.keys = key_states.new_zeros(slots, key_states.shape[1], length, key_states.shape[3])
        self.values = value_states.new_zeros(slots, value_states.shape[1], length, value_states.shape[3])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new states in their place; return what the new tokens may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        assert self.keys is not None
        assert self.values is not None
        place = self._cache.place
        end = place.start + place.rows
        if place.positions is None:
            width = key_states.shape[2]
            self.keys[place.start : end, :, :width] = key_states
            self.values[place.start : end, :, :width] = value_states
            return key_states, value_states
        rows = self._cache.row_numbers[:end]
        self.keys[rows, :, place.positions] = key_states[:, :, 0]
        self.values[rows, :, place.positions] = value_states[:, :, 0]
        return self.keys[:end, :, : place.visible], self.values[:end, :, : place.visible]

    def move(self, source: int, target: int, length: int) -> None:
        """Copy one row's first `length` positions over another row."""
        if self.keys is not None and self.values is not None:
            self.keys[target, :, :length] = self.keys[source, :, :length]
            self.values[target, :, :length] = self.values[source, :, :length]

    def resize(self, slots: int, length: int) -> None:
        """Allocate anew and keep what is there."""
        if self.keys is None or self.values is None:
            return
        for name in ("keys", "values"):
            old = getattr(self, name)
            new = old.new_zeros(slots, old.shape[1], length, old.shape[3])
            new[: old.shape[0], :, : old.shape[2]] = old
            setattr(self, name, new)

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Masks are given explicitly; this only answers for a first pass without one."""
        return query_length, 0

    def get_seq_length(self) -> int:
        """Rows differ in length, so there is no common one; positions are given explicitly."""
        return 0

    def get_max_length(self) -> int:
        """No maximum: the storage grows."""
        return -1


class SlotCache(Cache):
    """All layers' slots, with the rows `0 .. rows - 1` in use."""

    def __init__(self, layers: int, device: torch.device) -> None:
        """An empty cache for a model of `layers` layers."""
        self.slots = 0
        self.length = 0
        self.lengths: list[int] = []
        self.place = _Place(0, 0, None, 0)
        self.row_numbers = torch.arange(0, device=device)
        self._device = device
        super().__init__(layers=[SlotLayer(self) for _ in range(layers)])

    @property
    def rows(self) -> int:
        """Number of rows in use."""
        return len(self.lengths)

    def reserve(self, rows: int, length: int) -> None:
        """Make room for `rows` rows of `length` tokens; storage grows in steps and shrinks when it is empty."""
        length = -(-length // _BLOCK) * _BLOCK
        if not self.rows and (rows, length) != (self.slots, self.length):
            self.layers = [SlotLayer(self) for _ in self.layers]
        elif rows <= self.slots and length <= self.length:
            return
        else:
            rows, length = max(rows, self.slots), max(length, self.length)
            for layer in self.layers:
                layer.resize(rows, length)
        self.slots, self.length = rows, length
        self.row_numbers = torch.arange(rows, device=self._device)

    def append(self, lengths: list[int]) -> None:
        """The next forward pass brings new rows of these lengths, padded on the right."""
        self.place = _Place(self.rows, len(lengths), None, 0)
        self.lengths += lengths

    def truncate(self, rows: int) -> None:
        """Forget the rows after the first `rows`, whose prompts could not be run."""
        del self.lengths[rows:]

    def extend(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The next forward pass brings one token for every row.

        Returns:
            The tokens' positions, shape (rows, 1), and the attention mask, shape (rows, 1, 1, visible), True to attend.
        """
        positions = torch.tensor(self.lengths, device=self._device)
        self.lengths = [length + 1 for length in self.lengths]
        visible = max(self.lengths)
        self.place = _Place(0, self.rows, positions, visible)
        columns = torch.arange(visible, device=self._device)
        return positions[:, None], (columns[None, :] <= positions[:, None])[:, None, None, :]

    def drop(self, row: int) -> None:
        """Free a row; the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for layer in self.layers:
                layer.move(last, row, self.lengths[last])
            self.lengths[row] = self.lengths[last]
        self.lengths.pop()
