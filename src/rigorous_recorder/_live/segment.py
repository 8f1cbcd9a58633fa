"""One live table's image with its buffers: rows are written to it, and read back as Arrow."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from .._lazy import lazy_module
from .._values.arrays import ArrayKind
from .._values.kinds import Kind
from .backing import Image
from .column import NODE, Column, field_metadata, file_names
from .layout import Buffer, ImageMap, Layout, Places
from .pure import BitCells, BlockCells, Buffers, Cells, RawCells, Slot, ViewCells

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazy_module("pyarrow")

__all__ = ["Segment", "arrow_of", "sealed_batch", "sealed_schema"]


class Segment:
    """The rows of one live table from its start until it is sealed."""

    def __init__(self, number: int, layout: Layout, make: Callable[[bytes], Image]) -> None:
        data, self._map = layout.image()
        self._node, self._places = self._map
        self.number = number
        self.layout = layout
        self.image = make(data)
        self.synced: tuple[int, int] | None = None
        self._flushed = 0
        self._stop = max(_stops(self._node, self._places.values()))
        self._targets: dict[Column, Slot] = {}
        self.buffers = self._buffers()

    @property
    def rows(self) -> int:
        """Number of rows written."""
        return self.buffers.rows

    @property
    def size(self) -> int:
        """Bytes of the image."""
        return len(self.image.view)

    def target(self, column: Column) -> Slot:
        """The cells and validity bits of a column of the layout."""
        return self._targets[column]

    def copy_from(self, old: Segment) -> None:
        """Take over all rows of a segment whose columns are a part of this one's."""
        new_view, old_view, rows = self.image.view, old.image.view, old.rows
        for column, places in old._places.items():
            mine = self._places[column]
            _copy(new_view, mine.validity, old_view, places.validity)
            _copy(new_view, mine.values, old_view, places.values)
            if places.spill is not None and mine.spill is not None:
                _copy(new_view, mine.spill, old_view, places.spill)
                self._view_cells(column).used = old._view_cells(column).used
        _copy(new_view, self._node, old_view, Buffer(old._node.start, 8 * rows))
        self.buffers.rows = rows

    def clear(self, number: int) -> None:
        """Empty the image for another segment of the same layout.

        Raises:
            OSError: its file could not be emptied.
        """
        start = self._node.start
        self.image.view[start : self._stop] = bytes(self._stop - start)
        # Where the file is not mapped, it still has the rows, and is published with a new number.
        self.image.flush([(start, start + self._node.size)])
        self.number = number
        self.synced = None
        self._flushed = 0
        self.buffers = self._buffers()

    def flush(self) -> None:
        """Hand the rows written since the last flush to the operating system."""
        rows = self.rows
        if rows == self._flushed:
            return
        ranges = [r for column in self._places for r in self._written(column, rows)]
        start = self._node.start
        ranges.append((start + 8 * self._flushed, start + 8 * rows))
        self.image.flush(ranges)
        self._flushed = rows
        for cells in self._all_view_cells():
            cells.flushed = cells.used

    def start_sync(self) -> Callable[[], None]:
        """Flush, and give what to call, without any lock, to make the rows survive a power loss."""
        self.flush()
        return self.image.syncing()

    def sync(self) -> None:
        """Return when all rows survive a loss of power."""
        self.start_sync()()

    def batch(self, *, copy: bool) -> pa.RecordBatch:
        """The rows as Arrow, with the types of a sealed file; without columns that are all null.

        ``copy=False`` shares the image's memory: for a segment that no row is added to any more.
        """
        view = self.image.view

        def take(buffer: Buffer, size: int) -> pa.Buffer:
            piece = view[buffer.start : buffer.start + min(size, buffer.size)]
            return pa.py_buffer(bytes(piece) if copy else piece)

        return arrow_of(self._map, self.rows, take, self.layout.metadata)

    def _written(self, column: Column, rows: int) -> list[tuple[int, int]]:
        """The ranges of a column's bytes that belong to the rows after the last flush."""
        places = self._places[column]
        first, last = self._flushed // 8, (rows + 7) // 8
        octet = 8 * places.values.size // self.layout.capacity
        validity, values = places.validity.start, places.values.start
        ranges = [
            (validity + first, validity + last),
            (values + first * octet, values + min(last * octet, places.values.size)),
        ]
        if places.spill is not None:
            start, cells = places.spill.start, self._view_cells(column)
            ranges.append((start + cells.flushed, start + cells.used))
        return ranges

    def _buffers(self) -> Buffers:
        view = self.image.view
        buffers = Buffers(_slice(view, self._node).cast("q"), self.layout.capacity)
        self._targets = {c: self._slot(c.kind, places) for c, places in self._places.items()}
        buffers.validities = [validity for _, validity in self._targets.values()]
        for column, slot in self._targets.items():
            for exact in column.kind.direct:
                buffers.slots.setdefault(column.key, {})[exact] = slot
        return buffers

    def _slot(self, kind: Kind, places: Places) -> Slot:
        view = self.image.view
        return self._cells(kind, places), _slice(view, places.validity)

    def _cells(self, kind: Kind, places: Places) -> Cells:
        values = _slice(self.image.view, places.values)
        if isinstance(kind, ArrayKind):
            return BlockCells(values, kind.width, kind.raw)
        if kind.layout == "bit":
            return BitCells(values, kind.raw)
        if places.spill is not None:
            return ViewCells(values, _slice(self.image.view, places.spill), kind.raw)
        numbers: memoryview[Any] = values.cast(kind.code)
        return numbers if kind.name in {"int", "float"} else RawCells(numbers, kind.raw)

    def _all_view_cells(self) -> list[ViewCells]:
        return [cells for cells, _ in self._targets.values() if isinstance(cells, ViewCells)]

    def _view_cells(self, column: Column) -> ViewCells:
        cells = self._targets[column][0]
        assert isinstance(cells, ViewCells)
        return cells


def arrow_of(
    where: ImageMap,
    rows: int,
    take: Callable[[Buffer, int], pa.Buffer],
    metadata: dict[bytes, bytes],
    *,
    check: bool = False,
) -> pa.RecordBatch:
    """The first ``rows`` rows of an image as Arrow with the types of a sealed file.

    Raises:
        pyarrow.ArrowInvalid: with ``check``, the bytes are not what their layout says.
    """
    nodes = pa.Array.from_buffers(pa.int64(), rows, [None, take(where.node, 8 * rows)])
    sealed: dict[Column, pa.Array] = {}
    for column, places in where.columns.items():
        live = _live_array(column.kind, places, rows, take)
        if check:
            live.validate(full=True)
        if live.null_count < rows:
            sealed[column] = column.kind.seal(live)
    return sealed_batch(nodes, sealed, metadata)


def sealed_batch(
    nodes: pa.Array, columns: Mapping[Column, pa.Array], metadata: dict[bytes, bytes]
) -> pa.RecordBatch:
    """Rows as they are written to a sealed file, from columns of the sealed types."""
    arrays = [nodes, *(column.kind.file(values) for column, values in columns.items())]
    return pa.RecordBatch.from_arrays(arrays, schema=sealed_schema(list(columns), metadata))


def sealed_schema(columns: list[Column], metadata: dict[bytes, bytes]) -> pa.Schema:
    """The Arrow schema of a sealed file with these columns."""
    fields = [pa.field(NODE, pa.int64(), nullable=False)]
    for column, name in zip(columns, file_names(columns), strict=True):
        fields.append(pa.field(name, column.kind.file_type, metadata=field_metadata(column)))
    return pa.schema(fields, metadata=metadata)


def _live_array(
    kind: Kind, places: Places, rows: int, take: Callable[[Buffer, int], pa.Buffer]
) -> pa.Array:
    validity = take(places.validity, (rows + 7) // 8)
    if isinstance(kind, ArrayKind):
        return _block_array(kind, rows, validity, take(places.values, rows * kind.width))
    buffers = [validity, take(places.values, places.values.size)]
    if places.spill is not None:
        buffers.append(take(places.spill, places.spill.size))
    return pa.Array.from_buffers(kind.live_type, rows, buffers)


def _block_array(kind: ArrayKind, rows: int, validity: pa.Buffer, data: pa.Buffer) -> pa.Array:
    shape, innermost = [rows, *kind.shape], kind.live_type
    while pa.types.is_fixed_size_list(innermost):
        innermost = innermost.value_type
    count = rows * kind.width // (innermost.bit_width // 8)
    array = pa.Array.from_buffers(innermost, count, [None, data])
    for depth in range(len(kind.shape) - 1, 0, -1):
        array = pa.FixedSizeListArray.from_arrays(array, shape[depth + 1])
    return pa.Array.from_buffers(kind.live_type, rows, [validity], children=[array])


def _stops(node: Buffer, places: Iterable[Places]) -> list[int]:
    buffers = [node, *(buffer for each in places for buffer in each if buffer is not None)]
    return [buffer.start + buffer.size for buffer in buffers]


def _slice(view: memoryview, buffer: Buffer) -> memoryview:
    return view[buffer.start : buffer.start + buffer.size]


def _copy(new: memoryview, to: Buffer, old: memoryview, source: Buffer) -> None:
    new[to.start : to.start + source.size] = old[source.start : source.start + source.size]
