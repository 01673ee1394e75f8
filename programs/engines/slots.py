"""A key/value cache of slots: rows join and leave a running batch without copying the others.

Each row keeps its own length, so nothing is padded on the left: a new row is written into a free slot while the others
stay where they are, and a row that leaves is replaced by the last one. This file knows tensors only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from transformers.cache_utils import Cache, CacheLayerMixin

_BLOCK = 64


@dataclass(frozen=True)
class _Place:
    """Where the next forward pass writes: a run of new rows, or one position in each running row."""

    start: int
    rows: int
    positions: torch.Tensor | None = None
    visible: int = 0


class SlotLayer(CacheLayerMixin):
    """Keys and values of one layer, shape (slots, heads, positions, head size)."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, cache: SlotCache) -> None:
        """A layer without storage; the first write allocates it."""
        super().__init__()  # type: ignore[no-untyped-call]
        self._cache = cache

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocate zeros: a masked position must never hold a NaN, which the softmax's zero would not cancel."""
        slots, length = self._cache.slots, self._cache.length
        self.keys = _zeros(key_states, slots, key_states.shape[1], length, key_states.shape[3])
        self.values = _zeros(value_states, slots, value_states.shape[1], length, value_states.shape[3])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new states in their place; return what the new tokens may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
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
        if self.is_initialized:
            self.keys[target, :, :length] = self.keys[source, :, :length]
            self.values[target, :, :length] = self.values[source, :, :length]

    def resize(self, slots: int, length: int) -> None:
        """Allocate anew and keep the states of the rows in use."""
        if self.is_initialized:
            used = self._cache.rows, max(self._cache.lengths, default=0)
            self.keys = _grown(self.keys, slots, length, *used)
            self.values = _grown(self.values, slots, length, *used)

    def release(self) -> None:
        """Let go of the storage; the next write allocates it anew."""
        self.is_initialized = False
        self.keys = self.values = torch.empty(0)

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

    def __init__(self, layers: int, device: torch.device, max_rows: int = 0, max_cells: int = 0) -> None:
        """An empty cache for a model of `layers` layers.

        It grows ahead of need up to `max_rows` rows and `max_cells` positions (rows x longest).
        """
        self.slots = 0
        self.length = 0
        self.lengths: list[int] = []
        self.place = _Place(0, 0)
        self.row_numbers = torch.arange(0, device=device)
        self._device = device
        self._max_rows = max_rows
        self._max_cells = max_cells
        self._slot_layers = [SlotLayer(self) for _ in range(layers)]
        super().__init__(layers=list(self._slot_layers))

    @property
    def rows(self) -> int:
        """Number of rows in use."""
        return len(self.lengths)

    def reserve(self, rows: int, length: int) -> None:
        """Make room for `rows` rows of `length` tokens."""
        if rows <= self.slots and length <= self.length:
            return
        slots = max(rows, self.slots)
        if length > self.length:  # ahead of need, as each time all rows are copied
            length = _blocks(max(length, min(self.length * 3 // 2, self._max_cells // slots - _BLOCK)))
        length = max(length, self.length)
        if rows > self.slots:
            # A CPU's memory is taken where rows are written, so that room for all of them costs nothing. Elsewhere it
            # is doubled, which copies each row twice at most, however many join one by one.
            ahead = self._max_rows if self._device.type == "cpu" else 2 * self.slots
            slots = max(rows, min(ahead, self._max_rows, self._max_cells // length))
        for layer in self._slot_layers:
            layer.resize(slots, length)
        self.slots, self.length = slots, length
        self.row_numbers = torch.arange(slots, device=self._device)

    def append(self, lengths: list[int]) -> None:
        """The next forward pass brings new rows of these lengths, padded on the right."""
        self.place = _Place(self.rows, len(lengths))
        self.lengths += lengths

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

    def truncate(self, rows: int) -> None:
        """Forget the rows after the first `rows`; without any row left the memory is given back."""
        del self.lengths[rows:]
        if not self.lengths:
            self.slots = self.length = 0
            for layer in self._slot_layers:
                layer.release()

    def drop(self, row: int) -> None:
        """Free a row; the last row takes its place."""
        last = self.rows - 1
        if row != last:
            for layer in self._slot_layers:
                layer.move(last, row, self.lengths[last])
            self.lengths[row] = self.lengths[last]
        self.truncate(last)


def _blocks(length: int) -> int:
    """A length in whole blocks."""
    return -(-length // _BLOCK) * _BLOCK


def _grown(old: torch.Tensor, slots: int, length: int, rows: int, used: int) -> torch.Tensor:
    """The states of some rows in a larger tensor; an attempt that ran out of memory may have grown it already."""
    new = _zeros(old, max(slots, old.shape[0]), old.shape[1], max(length, old.shape[2]), old.shape[3])
    new[:rows, :, :used] = old[:rows, :, :used]
    return new


def _zeros(like: torch.Tensor, *shape: int) -> torch.Tensor:
    """Zeros in the dtype and on the device of another tensor; on a CPU as pages that the system fills when needed."""
    if like.device.type != "cpu":
        return like.new_zeros(shape)
    return torch.from_numpy(np.zeros(math.prod(shape) * like.element_size(), np.uint8)).view(like.dtype).view(shape)
