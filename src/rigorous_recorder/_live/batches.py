"""The rows of an image as Arrow, in the types of live and sealed files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from .._arrow import pa, pc
from .._once import remembered
from .._values.arrays import ArrayKind
from .._values.chunks import scalar
from .._values.kinds import Kind
from .._values.sparse import SparseKind
from .column import NODE, Column, field_metadata, file_names
from .layout import Buffer, ColumnBuffers, ImageMap, PackBuffers, has_spill, map_array

__all__ = ["arrow_of", "live_array", "sealed_batch", "sealed_schema"]

#: The size of a text view in bytes.
_VIEW: Final = 16


def arrow_of(
    where: ImageMap,
    rows: int,
    take: Callable[[Buffer, int], pa.Buffer],
    metadata: dict[bytes, bytes],
    *,
    check: bool = False,
) -> pa.RecordBatch:
    """The first ``rows`` rows of an image as Arrow with sealed types.

    Raises:
        pyarrow.ArrowInvalid: with ``check``, the bytes are not valid for their layout.
    """
    nodes = pa.Array.from_buffers(pa.int64(), rows, [None, take(where.node, 8 * rows)])
    sealed: dict[Column, pa.Array] = {}
    for column, places in where.columns.items():
        live = live_array(column.kind, places, rows, take, check=check)
        if check:
            live.validate(full=True)
        if _has_values(live):
            sealed[column] = column.kind.seal(live)
    return sealed_batch(nodes, sealed, metadata)


def _has_values(live: pa.Array) -> bool:
    if isinstance(live, pa.MapArray):
        return bool(live.offsets[-1].as_py())
    return bool(live.null_count < len(live))


def sealed_batch(
    nodes: pa.Array, columns: Mapping[Column, pa.Array], metadata: dict[bytes, bytes]
) -> pa.RecordBatch:
    """Rows as they are written to a sealed file, from columns of the sealed types."""
    arrays = [nodes, *(column.kind.to_storage(values) for column, values in columns.items())]
    return pa.RecordBatch.from_arrays(arrays, schema=sealed_schema(list(columns), metadata))


def sealed_schema(columns: list[Column], metadata: dict[bytes, bytes]) -> pa.Schema:
    """The Arrow schema of a sealed file with these columns."""
    named = zip(columns, file_names(columns), strict=True)
    fields = [_sealed_field(column, name) for column, name in named]
    node = pa.field(NODE, pa.int64(), nullable=False)
    return pa.schema([node, *fields], metadata=metadata)


@remembered(4096)
def _sealed_field(column: Column, name: str) -> pa.Field:
    return pa.field(name, column.kind.storage_type, metadata=field_metadata(column))


def live_array(
    kind: Kind,
    places: ColumnBuffers | PackBuffers,
    rows: int,
    take: Callable[[Buffer, int], pa.Buffer],
    *,
    check: bool,
) -> pa.Array:
    """The first ``rows`` rows of a column of an image, in its live type.

    Raises:
        pyarrow.ArrowInvalid: with ``check``, a sparse column has no valid bounds of cells.
    """
    if isinstance(places, PackBuffers):
        return _map_array(kind, places, rows, take)
    validity = take(places.validity, (rows + 7) // 8)
    if isinstance(kind, ArrayKind):
        return _block_array(kind, rows, validity, take(places.values, rows * kind.width))
    if places.spill is None:
        values = take(places.values, (rows * kind.live_type.bit_width + 7) // 8)
        return pa.Array.from_buffers(kind.live_type, rows, [validity, values])
    values = take(places.values, rows * _VIEW)
    if check:
        values = _without_hidden_views(rows, validity, values)
    buffers = [validity, values, take(places.spill, places.spill.size)]
    return pa.Array.from_buffers(kind.live_type, rows, buffers)


def _map_array(
    kind: Kind, places: PackBuffers, rows: int, take: Callable[[Buffer, int], pa.Buffer]
) -> pa.Array:
    assert isinstance(kind, SparseKind)
    offsets = take(places.offsets, 4 * (rows + 1))
    ends = pa.Array.from_buffers(pa.int32(), rows + 1, [None, offsets])
    ends.validate()
    count = ends[rows].as_py()
    if count < 0:
        message = "a sparse column has fewer cells than none"
        raise pa.ArrowInvalid(message)
    arrow, views = kind.live_type, take(places.keys, _VIEW * count)
    texts = take(places.key_texts, places.key_texts.size)
    keys = pa.Array.from_buffers(arrow.key_type, count, [None, views, texts], null_count=0)
    width = _VIEW * 8 if has_spill(kind.kind) else kind.kind.live_type.bit_width
    buffers = [None, take(places.values, (count * width + 7) // 8)]
    if places.spill is not None:
        buffers.append(take(places.spill, places.spill.size))
    values = pa.Array.from_buffers(arrow.item_type, count, buffers, null_count=0)
    return map_array(kind, rows, offsets, keys, values)


def _without_hidden_views(rows: int, validity: pa.Buffer, views: pa.Buffer) -> pa.Buffer:
    """Views of text with empty ones for nulls, which pyarrow follows without checking.

    Raises:
        pyarrow.ArrowInvalid: there are fewer views than rows.
    """
    cells = pa.Array.from_buffers(pa.binary(_VIEW), rows, [validity, views])
    cells.validate()
    return pc.coalesce(cells, scalar(bytes(_VIEW), pa.binary(_VIEW))).buffers()[1]


def _block_array(kind: ArrayKind, rows: int, validity: pa.Buffer, data: pa.Buffer) -> pa.Array:
    shape, innermost = [rows, *kind.shape], kind.live_type
    while pa.types.is_fixed_size_list(innermost):
        innermost = innermost.value_type
    count = rows * kind.width // (innermost.bit_width // 8)
    array = pa.Array.from_buffers(innermost, count, [None, data])
    for depth in range(len(kind.shape) - 1, 0, -1):
        array = pa.FixedSizeListArray.from_arrays(array, shape[depth + 1])
    return pa.Array.from_buffers(kind.live_type, rows, [validity], children=[array])
