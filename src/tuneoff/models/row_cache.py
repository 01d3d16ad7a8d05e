"""A cache of keys and values whose rows join and leave while the others go on.

All rows end at the same position, since a forward pass appends one position to each of them. What stands to the left of
a shorter row is padding, which the attention mask hides. The buffers have room in both directions: a row joins or
leaves without a copy of the others, until the room is used up.

Every layer keeps all positions. A layer with a window masks those outside it.

Shapes: R rows, H key heads, C positions of the buffers, D numbers of a head, T positions of one row.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from tuneoff.models.prefix_attention import Layers

SPARE_SHARE = 0.25  # of the needed rows and positions, allocated besides them
SHRINK_AT = 4  # times the needed size


class RowCache(DynamicCache):  # type: ignore[misc]  # transformers is not typed for us
    """Keys and values of some rows. `lengths` has the tokens of each row and `remaining` how many may follow."""

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[_Layer]
        self.lengths: list[int] = []
        self.remaining: list[int] = []
        self.end = 0  # the position after the last one of all rows

    @property
    def width(self) -> int:
        """The positions that the attention sees: those of the longest row and one more, which is padding.

        On a CPU, attention of a new token is faster with a mask where queries share keys.
        """
        return max(self.lengths) + 1 if self.lengths else 0

    @property
    def allocated(self) -> int:
        """The positions of the buffers, in all rows."""
        return self.layers[0].rows * self.layers[0].positions if self.layers else 0

    def append(self, states: Layers, length: int, remaining: int) -> None:
        """Add a row.

        Args:
            states: keys and values of each layer, (H, T, D), whose last `length` positions are the row's.
            remaining: the most tokens that will be appended to it.
        """
        lengths, following = [*self.lengths, length], [*self.remaining, remaining]
        if not self.layers:
            self.layers = [_Layer(keys, values) for keys, values in states]
        first = self.layers[0]
        has_room = (
            len(lengths) <= first.rows and self.end > max(lengths) and self.end + max(following) <= first.positions
        )
        if not has_room:
            self._allocate(len(lengths), max(lengths) + 1, max(following))
        for layer, (keys, values) in zip(self.layers, states, strict=True):
            layer.write(len(self.lengths), self.end - length, keys[:, -length:], values[:, -length:])
        self.lengths, self.remaining = lengths, following
        self._show()

    def remove(self, row: int) -> None:
        """Remove a row. The last row takes its place. Buffers that became much too large are made smaller."""
        last = len(self.lengths) - 1
        for layer in self.layers:
            layer.move(last, row)
        for values in (self.lengths, self.remaining):
            values[row] = values[last]
            values.pop()
        if not self.lengths:
            self.layers, self.end = [], 0
            return
        if self.allocated > SHRINK_AT * count_positions(self.lengths, self.remaining):
            self._allocate(len(self.lengths), max(self.lengths) + 1, max(self.remaining))
        self._show()

    def make_mask(self, device: torch.device) -> Tensor:
        """Return which positions the next token of each row sees, itself among them, (R, width + 1)."""
        lengths_R1 = torch.tensor(self.lengths, device=device)[:, None]
        return (torch.arange(self.width + 1, device=device) >= self.width - lengths_R1).long()

    def advance(self) -> None:
        """Count the position that a forward pass has appended to all rows."""
        self.end += 1
        self.lengths = [length + 1 for length in self.lengths]
        self.remaining = [remaining - 1 for remaining in self.remaining]
        self._show()

    def _allocate(self, rows: int, before: int, after: int) -> None:
        """Make buffers for these rows, with `before` positions up to their common end and `after` behind it."""
        spare = int(SPARE_SHARE * (before + after))
        end = before + spare // 2
        for layer in self.layers:
            layer.resize(
                rows + int(SPARE_SHARE * rows), end + after + spare // 2, len(self.lengths), self.end, end, before
            )
        self.end = end

    def _show(self) -> None:
        for layer in self.layers:
            layer.show(len(self.lengths), self.end - self.width, self.end)


class _Layer(DynamicLayer):  # type: ignore[misc]  # transformers is not typed for us
    """A part of two buffers, (R, H, C, D), shown as keys and values."""

    def __init__(self, keys_HTD: Tensor, values_HTD: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys_HTD, values_HTD)
        self._buffers = [states.new_zeros(0, states.shape[0], 0, states.shape[2]) for states in (keys_HTD, values_HTD)]
        self._end = 0

    @property
    def rows(self) -> int:
        return self._buffers[0].shape[0]

    @property
    def positions(self) -> int:
        return self._buffers[0].shape[2]

    def resize(self, rows: int, positions: int, kept: int, old_end: int, end: int, before: int) -> None:
        """Move the first `kept` rows to larger buffers, so that they end at `end`."""
        width = min(before, old_end)
        for number, buffer in enumerate(self._buffers):
            new = buffer.new_zeros(rows, buffer.shape[1], positions, buffer.shape[3])
            new[:kept, :, end - width : end] = buffer[:kept, :, old_end - width : old_end]
            self._buffers[number] = new

    def write(self, row: int, start: int, *states: Tensor) -> None:
        for buffer, state_HTD in zip(self._buffers, states, strict=True):
            buffer[row, :, start : start + state_HTD.shape[1]] = state_HTD

    def move(self, source: int, target: int) -> None:
        for buffer in self._buffers:
            buffer[target] = buffer[source]

    def show(self, rows: int, start: int, end: int) -> None:
        self.keys, self.values = (buffer[:rows, :, start:end] for buffer in self._buffers)
        self._end = end

    def update(self, key_states: Tensor, value_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, Tensor]:
        """Append one position to each row, and return all that the attention sees."""
        start, rows = self._end - self.keys.shape[2], len(self.keys)
        for buffer, states in zip(self._buffers, (key_states, value_states), strict=True):
            buffer[:rows, :, self._end : self._end + 1] = states
        self.show(rows, start, self._end + 1)
        return self.keys, self.values


def count_positions(lengths: Sequence[int], remaining: Sequence[int]) -> int:
    """Return the positions that a cache of these rows needs until the end of all of them, without spare ones."""
    return len(lengths) * (max(lengths) + 1 + max(remaining)) if lengths else 0
