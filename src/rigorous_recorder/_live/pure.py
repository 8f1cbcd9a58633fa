"""The buffers of a live table and the one way to append a row to them, in pure Python.

This is the narrow interface that a native twin fills: it is handed writable buffers, knows what
a value of each kind looks like in them, and has no policy. Whatever it can't do it says (by
returning False, or by an exception of the value), having changed nothing that a reader sees.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

__all__ = ["BitCells", "BlockCells", "Buffers", "Cells", "RawCells", "SpillFullError", "ViewCells"]

_INLINE: Final = 12
_pack_view: Final = struct.Struct("<i4sii").pack_into
_pack_inline: Final = struct.Struct("<i12s").pack_into


class SpillFullError(Exception):
    """No room is left for the bytes of a long text: so many are needed."""

    def __init__(self, needed: int) -> None:
        super().__init__(needed)
        self.needed = needed


class Cells(Protocol):
    """The values of one column, by row."""

    def __setitem__(self, row: int, value: Any, /) -> None: ...


class RawCells:
    """Fixed-width values that a function turns into a number first."""

    def __init__(self, values: memoryview, raw: Callable[[Any], int]) -> None:
        self._values = values
        self._raw = raw

    def __setitem__(self, row: int, value: Any) -> None:
        self._values[row] = self._raw(value)


class BitCells:
    """One bit a row."""

    def __init__(self, values: memoryview, raw: Callable[[Any], Any]) -> None:
        self._values = values
        self._raw = raw

    def __setitem__(self, row: int, value: Any) -> None:
        if self._raw(value):
            self._values[row >> 3] |= 1 << (row & 7)
        else:
            self._values[row >> 3] &= ~(1 << (row & 7))


class BlockCells:
    """Blocks of bytes of one width: fixed-shape arrays."""

    def __init__(self, values: memoryview, width: int, raw: Callable[[Any], memoryview]) -> None:
        self._values = values
        self._width = width
        self._raw = raw

    def __setitem__(self, row: int, value: Any) -> None:
        start = row * self._width
        self._values[start : start + self._width] = self._raw(value)


class ViewCells:
    """Arrow views: up to 12 bytes in the row itself, longer ones in the spill buffer."""

    def __init__(self, values: memoryview, spill: memoryview, raw: Callable[[Any], bytes]) -> None:
        self._values = values
        self._spill = spill
        self._raw = raw
        self.used = self.flushed = 0

    def __setitem__(self, row: int, value: Any) -> None:
        data = self._raw(value)
        size = len(data)
        if size <= _INLINE:
            _pack_inline(self._values, row * 16, size, data)
            return
        start = self.used
        if start + size > len(self._spill):
            raise SpillFullError(size)
        self._spill[start : start + size] = data
        self.used = start + size
        _pack_view(self._values, row * 16, size, data[:4], 0, start)


Slot = tuple[Cells, memoryview]


class Buffers:
    """The writable side of one live table: ``append`` and how many rows there are.

    Attributes:
        rows: number of rows written.
        slots: for a key and the exact type of a value, the cells and validity bits to write to.
    """

    def __init__(self, nodes: memoryview, capacity: int) -> None:
        self._nodes = nodes
        self.capacity = capacity
        self.rows = 0
        self.slots: dict[Any, dict[type, Slot]] = {}
        self.validities: list[memoryview] = []

    def append(self, node: int, fields: Mapping[Any, Any]) -> bool:
        """Write one row, its ``_node`` last; False where a key or type has no slot, or it is full.

        Raises:
            Exception: whatever the value raised that could not be written; no row was added.
        """
        row = self.rows
        if row >= self.capacity:
            return False
        slots, byte, bit = self.slots, row >> 3, 1 << (row & 7)
        try:
            for key, value in fields.items():
                cells, validity = slots[key][type(value)]
                cells[row] = value
                validity[byte] |= bit
            self._nodes[row] = node
            self.rows = row + 1
        except KeyError:
            self._clear(row)
            return False
        except BaseException:  # Ctrl-C included: a row is there whole or not at all
            if self.rows == row:
                self._clear(row)
            raise
        return True

    def write(self, node: int, targets: Iterable[tuple[Slot, Any]]) -> bool:
        """Write one row to the slots given; False where the table is full."""
        row = self.rows
        if row >= self.capacity:
            return False
        byte, bit = row >> 3, 1 << (row & 7)
        try:
            for (cells, validity), value in targets:
                cells[row] = value
                validity[byte] |= bit
            self._nodes[row] = node
            self.rows = row + 1
        except BaseException:
            if self.rows == row:
                self._clear(row)
            raise
        return True

    def _clear(self, row: int) -> None:
        self._nodes[row] = 0
        for validity in self.validities:
            validity[row >> 3] &= ~(1 << (row & 7)) & 0xFF
