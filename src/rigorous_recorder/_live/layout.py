"""The layout of a live table: an Arrow IPC file with reserved rows, and its buffers' positions."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from .._arrow import ipc, pa
from .._once import remembered
from .._values.arrays import ArrayKind
from .._values.kinds import TEXT, Cell, Kind
from .._values.sparse import SparseKind
from ..errors import DamagedFileError
from .column import NODE, Column, field_metadata, file_names
from .probe_block import with_probe_block

__all__ = [
    "Blank",
    "Buffer",
    "ColumnBuffers",
    "ImageMap",
    "Layout",
    "PackBuffers",
    "cell_width",
    "has_spill",
    "map_array",
    "map_of",
    "node_place",
    "places_of",
    "row_width",
    "rows_in",
    "values_size",
]

#: Bits per value in a column.
_BITS: Final[dict[Cell, int]] = {
    "int": 64,
    "int32": 32,
    "float": 64,
    "bool": 1,
    "null": 1,
    "text": 128,
    "bytes": 128,
    "sparse": 32,
}
_VIEW: Final = 16


class Buffer(NamedTuple):
    """A range of bytes in an image."""

    start: int
    size: int


class ColumnBuffers(NamedTuple):
    """The positions of a column's buffers in an image."""

    validity: Buffer
    values: Buffer
    spill: Buffer | None


class PackBuffers(NamedTuple):
    """The positions of a sparse column's buffers in an image."""

    offsets: Buffer
    keys: Buffer
    key_texts: Buffer
    values: Buffer
    spill: Buffer | None


class ImageMap(NamedTuple):
    """The positions of ``_node`` and each column in an image."""

    node: Buffer
    columns: dict[Column, ColumnBuffers | PackBuffers]


class Blank(NamedTuple):
    """The bytes of an empty image: zeros, except for some pieces with their positions."""

    size: int
    pieces: list[tuple[int, bytes]]


class _Sink:
    """A file object that records what is written, except for column buffers, which are zeros."""

    closed = False

    def __init__(self) -> None:
        self.size = 0
        self.pieces: list[tuple[int, bytes]] = []

    def write(self, data: bytes | pa.Buffer) -> int:
        """Record bytes; pyarrow passes a column's buffer as an object."""
        size = memoryview(data).nbytes
        if isinstance(data, bytes):
            start, before = self.pieces.pop() if self.pieces else (0, b"")
            if start + len(before) != self.size:
                self.pieces.append((start, before))
                start, before = self.size, b""
            self.pieces.append((start, before + data))
        self.size += size
        return size

    def tell(self) -> int:
        """The current position."""
        return self.size

    def flush(self) -> None:
        """Nothing to do."""

    def close(self) -> None:
        """Nothing to do."""


class Layout:
    """The columns of an image, and the reserved numbers of rows and bytes of text.

    Args:
        columns: the columns.
        capacity: a multiple of 8, because a byte has the validity bits of 8 rows.
        spill: bytes of text.
        metadata: the metadata of the schema; ignored in comparisons of layouts.
        cells: the values that a sparse column has room for, a multiple of 8.
    """

    def __init__(
        self,
        columns: tuple[Column, ...],
        capacity: int,
        spill: int,
        metadata: dict[bytes, bytes],
        cells: int = 0,
    ) -> None:
        self.columns: Final = columns
        self.capacity: Final = capacity
        self.spill: Final = spill
        self.cells: Final = cells
        self.metadata: Final = metadata

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and other._sizes == self._sizes

    def __hash__(self) -> int:
        return hash(self._sizes)

    @property
    def _sizes(self) -> tuple[tuple[Column, ...], int, int, int]:
        return self.columns, self.capacity, self.spill, self.cells

    @property
    def size(self) -> int:
        """The size of an image's buffers in bytes."""
        texts = sum(_spills(column.kind) for column in self.columns)
        cells = self.cells * cell_width(self.columns)
        return int(self.capacity * row_width(self.columns) + cells) + texts * self.spill

    def schema(self) -> pa.Schema:
        """The Arrow schema of the live file."""
        named = zip(self.columns, file_names(self.columns), strict=True)
        fields = [_live_field(column, name) for column, name in named]
        node = pa.field(NODE, pa.int64(), nullable=False)
        return pa.schema([node, *fields], metadata=self.metadata)

    def blank(self) -> Blank:
        """The bytes of an empty live file."""
        return _blank(self, tuple(self.metadata.items()))

    def _blank(self) -> Blank:
        schema = self.schema()
        arrays = [
            pa.Array.from_buffers(pa.int64(), self.capacity, [None, _zeros(8 * self.capacity)])
        ]
        empty = {kind: self._empty(kind) for kind in {column.kind for column in self.columns}}
        arrays += [empty[column.kind] for column in self.columns]
        batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
        sink = _Sink()
        with ipc.new_file(pa.PythonFile(sink, "w"), schema) as writer:
            writer.write_batch(batch)
        first, (start, tail) = sink.pieces[0], sink.pieces[-1]
        tail = with_probe_block(tail, nodes=len(first[1]), capacity=self.capacity)
        return Blank(start + len(tail), [*sink.pieces[:-1], (start, tail)])

    def _empty(self, kind: Kind) -> pa.Array:
        rows = self.capacity
        validity = _zeros((rows + 7) // 8)
        # Null counts other than 0 and all: readers then look at the validity bits, which change.
        if isinstance(kind, ArrayKind):
            values: pa.Array = pa.Array.from_buffers(
                _innermost(kind.live_type),
                rows * kind.width // (_innermost(kind.live_type).bit_width // 8),
                [None, _zeros(rows * kind.width)],
            )
            return _wrap(kind.live_type, rows, values, validity)
        if isinstance(kind, SparseKind):
            return self._empty_map(kind)
        return self._empty_cells(kind.live_type, kind, rows, validity)

    def _empty_cells(
        self, arrow: pa.DataType, kind: Kind, count: int, validity: pa.Buffer | None
    ) -> pa.Array:
        buffers = [validity, _zeros(values_size(kind, count))]
        if has_spill(kind):
            buffers.append(_zeros(self.spill))
        nulls = 0 if validity is None else 1
        return pa.Array.from_buffers(arrow, count, buffers, null_count=nulls)

    def _empty_map(self, kind: SparseKind) -> pa.Array:
        arrow, cells = kind.live_type, self.cells
        keys = self._empty_cells(arrow.key_type, TEXT, cells, None)
        values = self._empty_cells(arrow.item_type, kind.kind, cells, None)
        # What is written has no more cells than the last offset; the offsets in the file are zeros.
        offsets = pa.py_buffer(bytes(4 * self.capacity) + cells.to_bytes(4, "little"))
        return map_array(kind, self.capacity, offsets, keys, values)


@remembered(16)  # consecutive files have the same layout
def _blank(layout: Layout, _metadata: tuple[tuple[bytes, bytes], ...]) -> Blank:
    return layout._blank()


@remembered(4096)
def _live_field(column: Column, name: str) -> pa.Field:
    return pa.field(name, column.kind.live_type, metadata=field_metadata(column))


def map_of(image: pa.Buffer, columns: Sequence[Column]) -> ImageMap:
    """The positions of buffers in an image.

    Raises:
        DamagedFileError: it lacks buffers of these columns.
    """
    batch = ipc.open_file(image).get_batch(0)
    node, *found = batch.columns
    places = {c: places_of(c.kind, a, image) for c, a in zip(columns, found, strict=True)}
    return ImageMap(node_place(node, image), places)


def node_place(nodes: pa.Array, image: pa.Buffer) -> Buffer:
    """The position in an image of the column ``_node`` that was read from it.

    Raises:
        DamagedFileError: it has no buffer.
    """
    return _known(_place(nodes.buffers()[1], image))


def places_of(kind: Kind, column: pa.Array, image: pa.Buffer) -> ColumnBuffers | PackBuffers:
    """The positions in an image of a column of this kind that was read from it.

    Raises:
        DamagedFileError: it lacks buffers.
    """
    return _places(kind, [_place(buffer, image) for buffer in column.buffers()])


def map_array(
    kind: SparseKind, rows: int, offsets: pa.Buffer, keys: pa.Array, values: pa.Array
) -> pa.Array:
    """A column of the live type of a sparse kind."""
    arrow = kind.live_type
    pairs = pa.struct([arrow.key_field, arrow.item_field])
    children = [keys, values]
    cells = pa.Array.from_buffers(pairs, len(keys), [None], null_count=0, children=children)
    return pa.Array.from_buffers(arrow, rows, [None, offsets], null_count=0, children=[cells])


def row_width(columns: tuple[Column, ...]) -> float:
    """The bytes per row in an image, without long text and the cells of sparse columns."""
    return 8 + sum(values_size(column.kind, 8) / 8 + 1 / 8 for column in columns)


def cell_width(columns: tuple[Column, ...]) -> float:
    """The bytes of an image for a cell in each of the sparse columns."""
    kinds = [column.kind.kind for column in columns if isinstance(column.kind, SparseKind)]
    return sum(_VIEW + values_size(kind, 8) / 8 for kind in kinds)


def values_size(kind: Kind, rows: int) -> int:
    """The bytes of so many values, without long text."""
    if isinstance(kind, ArrayKind):
        return rows * kind.width
    return (rows * _BITS[kind.cell] + 7) // 8


def rows_in(
    kind: Kind, places: ColumnBuffers | PackBuffers, take: Callable[[Buffer, int], pa.Buffer]
) -> int:
    """How many rows of a column are complete in an image that may be cut off."""
    if isinstance(places, PackBuffers):
        return _rows_with_cells(kind, places, take)
    validity = take(places.validity, places.validity.size)
    values = take(places.values, places.values.size)
    return min(8 * int(validity.size), _values_in(kind, values.size))


def _values_in(kind: Kind, size: int) -> int:
    if isinstance(kind, ArrayKind):
        return size // kind.width if kind.width else 8 * size
    return 8 * size // _BITS[kind.cell]


def _rows_with_cells(
    kind: Kind, places: PackBuffers, take: Callable[[Buffer, int], pa.Buffer]
) -> int:
    assert isinstance(kind, SparseKind)
    offsets, keys, _, values = (take(each, each.size) for each in places[:4])
    cells = min(keys.size // _VIEW, _values_in(kind.kind, values.size))
    ends = memoryview(offsets).cast("B")[: offsets.size // 4 * 4].cast("i").tolist()
    whole = (start <= end <= cells for start, end in itertools.pairwise(ends))
    return sum(itertools.takewhile(bool, whole))


def has_spill(kind: Kind) -> bool:
    """Whether a column has a buffer for values that are too long for its cells."""
    return kind.cell in {"text", "bytes"}


def _spills(kind: Kind) -> int:
    """How many buffers for long text a column has."""
    return 1 + has_spill(kind.kind) if isinstance(kind, SparseKind) else int(has_spill(kind))


def _zeros(size: int) -> pa.Buffer:
    """A buffer that is never read; its bytes are never touched, and so use no memory."""
    return pa.py_buffer(memoryview(_untouched(1 << max(size - 1, 0).bit_length()))[:size])


@remembered(4)
def _untouched(size: int) -> bytes:
    return bytes(size)


def _innermost(kind: pa.DataType) -> pa.DataType:
    while pa.types.is_fixed_size_list(kind):
        kind = kind.value_type
    return kind


def _wrap(kind: pa.DataType, rows: int, values: pa.Array, validity: pa.Buffer) -> pa.Array:
    inner = kind.value_type
    if pa.types.is_fixed_size_list(inner):
        values = _wrap(inner, rows * kind.list_size, values, None)
    nulls = 1 if validity is not None else 0
    return pa.Array.from_buffers(kind, rows, [validity], null_count=nulls, children=[values])


def _place(buffer: pa.Buffer | None, image: pa.Buffer) -> Buffer | None:
    if buffer is None:
        return None
    start = buffer.address - image.address if buffer.size else 0
    if not 0 <= start <= image.size - buffer.size:
        message = (
            "a column's bytes are not those of the file"  # for example, because of compression
        )
        raise DamagedFileError(message)
    return Buffer(start, buffer.size)


def _places(kind: Kind, found: list[Buffer | None]) -> ColumnBuffers | PackBuffers:
    if isinstance(kind, ArrayKind):
        return ColumnBuffers(_known(found[0]), _known(found[-1]), None)
    if isinstance(kind, SparseKind):
        _, offsets, _, _, keys, key_texts, _, values, *texts = found
        spill = _known(texts[0]) if has_spill(kind.kind) else None
        return PackBuffers(_known(offsets), _known(keys), _known(key_texts), _known(values), spill)
    spill = _known(found[2]) if has_spill(kind) else None
    return ColumnBuffers(_known(found[0]), _known(found[1]), spill)


def _known(buffer: Buffer | None) -> Buffer:
    if buffer is None:
        message = "a column lacks some of its buffers"
        raise DamagedFileError(message)
    return buffer
