"""Single rows of an image as Python values, read from their cells."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from .._arrow import pa
from .._values.kinds import BOOL, FLOAT, INT, JSON, NULL, TEXT, Kind
from .._values.sparse import SparseKind
from .batches import live_array
from .column import Column
from .layout import Buffer, ColumnBuffers, ImageMap, PackBuffers

__all__ = ["LiveRow", "RowCells"]

_VIEW: Final = struct.Struct("<i8xi")  # the size of a text, and its place in the spill buffer
_INLINE: Final = 12


class LiveRow(NamedTuple):
    """A row: its node, and the values of the columns that have one."""

    node: int
    values: dict[Column, Any]


_Reader = Callable[[int], Any]


class RowCells:
    """The cells of an image.

    Args:
        view: the bytes of the image.
        where: the positions in it.
        capacity: the number of rows that it has room for.
    """

    def __init__(self, view: memoryview, where: ImageMap, capacity: int) -> None:
        #: The node of each row; 0 from the first one on that is not written.
        self.nodes: Final = _piece(view, where.node).cast("q")
        self._dense: list[tuple[Column, memoryview, _Reader]] = []
        self._packed: list[_Pack] = []
        for column, places in where.columns.items():
            if isinstance(places, PackBuffers):
                assert isinstance(column.kind, SparseKind)
                self._packed.append(_Pack(view, column.kind.kind, places))
            elif column.kind != NULL:
                read = _plain_reader(view, column.kind, places.values, places.spill)
                width = places.values.size // capacity
                read = read or _Others(view, column.kind, places, width).value
                self._dense.append((column, _piece(view, places.validity), read))

    def row(self, at: int) -> LiveRow:
        """A written row."""
        octet, bit = at >> 3, 1 << (at & 7)
        values = {
            column: read(at) for column, validity, read in self._dense if validity[octet] & bit
        }
        for pack in self._packed:
            values |= pack.values(at)
        return LiveRow(self.nodes[at], values)


class _Pack:
    """The cells of a sparse column."""

    def __init__(self, view: memoryview, kind: Kind, places: PackBuffers) -> None:
        self._kind = kind
        self._ends = _piece(view, places.offsets).cast("i")
        self._keys = _Texts(_piece(view, places.keys), _piece(view, places.key_texts))
        self._read = _plain_reader(view, kind, places.values, places.spill)

    def values(self, at: int) -> dict[Column, Any]:
        """The values of a row."""
        if self._read is None:  # None was set, which is no value
            return {}
        return {
            Column(self._keys.text(cell), self._kind): self._read(cell)
            for cell in range(self._ends[at], self._ends[at + 1])
        }


def _plain_reader(
    view: memoryview, kind: Kind, values: Buffer, spill: Buffer | None
) -> _Reader | None:
    """A function that returns the value in a cell; None for kinds that only Arrow reads."""
    cells = _piece(view, values)
    if kind == INT:
        return cells.cast("q").__getitem__
    if kind == FLOAT:
        return cells.cast("d").__getitem__
    if kind == BOOL:
        return lambda at: bool(cells[at >> 3] & 1 << (at & 7))
    if kind not in {TEXT, JSON} or spill is None:
        return None
    texts = _Texts(cells, _piece(view, spill))
    return texts.text if kind == TEXT else lambda at: JSON.decode(texts.text(at))


class _Texts:
    def __init__(self, views: memoryview, spill: memoryview) -> None:
        self._views = views
        self._spill = spill

    def text(self, at: int) -> str:
        size, start = _VIEW.unpack_from(self._views, 16 * at)
        if size > _INLINE:
            return str(self._spill[start : start + size], "utf-8")
        return str(self._views[16 * at + 4 : 16 * at + 4 + size], "utf-8")


class _Others:
    """Values that Arrow reads, each as an array of its own."""

    def __init__(self, view: memoryview, kind: Kind, places: ColumnBuffers, width: int) -> None:
        self._view = view
        self._kind = kind
        self._places = places
        self._width = width

    def value(self, at: int) -> Any:
        def take(buffer: Buffer, size: int) -> pa.Buffer:
            if buffer is self._places.validity:
                return pa.py_buffer(b"\1")
            if buffer is self._places.spill:
                return pa.py_buffer(_piece(self._view, buffer))
            start = buffer.start + at * self._width
            return pa.py_buffer(bytes(self._view[start : start + size]))

        live = live_array(self._kind, self._places, 1, take, check=False)
        return self._kind.values(self._kind.seal(live))[0]


def _piece(view: memoryview, buffer: Buffer) -> memoryview:
    return view[buffer.start : buffer.start + buffer.size]
