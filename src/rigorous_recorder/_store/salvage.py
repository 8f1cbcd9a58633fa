"""Salvage of damaged files: rows and columns that can be read, without the others."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Final, NamedTuple

from .._arrow import ipc, pa, pc
from .._live.batches import live_array, sealed_batch
from .._live.column import NODE, Column
from .._live.layout import Buffer, node_place, places_of, rows_in
from .._values.kinds import Kind
from .._values.sparse import are_among, without_cells
from ..errors import DamagedFileError
from .corruption import UNREADABLE, blame_file
from .folder import LiveName
from .live_files import live_column, require_name, require_nodes
from .parquet_fragment import ParquetFragment
from .path_checks import check_regular

__all__ = ["SavedRows", "salvage_live", "salvage_sealed", "saved_of", "segments_left", "unreadable"]

#: An Arrow file is this, a stream, and a footer that repeats the positions in the stream.
_MAGIC: Final = b"ARROW1\0\0"
#: The limit of a message's bodyLength, against huge allocations.
_MOST_BYTES: Final = 1 << 32


class SavedRows(NamedTuple):
    """What was recovered from a file.

    Attributes:
        table: the rows, as written to a sealed file; None if there are none.
        rows: how many there were; None if unknown.
        columns: keys (or names in the file, if keys can't be read) with lost values.
    """

    table: pa.Table | None
    rows: int | None
    columns: tuple[str, ...]

    @property
    def readable(self) -> int:
        """The number of recovered rows."""
        return 0 if self.table is None else self.table.num_rows


def unreadable(kind: Kind, column: pa.ChunkedArray) -> list[int]:
    """Positions in a column of a file that do not hold a valid value of its kind.

    In a sparse column, these are positions among all values of its maps.
    """
    return kind.unreadable(kind.from_storage(column.combine_chunks()))


# --- sealed files --------------------------------------------------------------------------------


def salvage_sealed(sealed: ParquetFragment, group: int) -> pa.Table | None:
    """The rows of a row group, null where a column can't be read; None if ``_node`` can't be."""
    names, _ = sealed.sound_names(group)
    if not names or (nodes := sealed.stored(group, [])) is None:
        return None
    arrays = [nodes.column(NODE)]
    for column, name in sealed.file_columns.stored.items():
        table = sealed.stored(group, [column], nodes=False) if name in names else None
        if table is None:
            kind = sealed.schema.field(name).type
            arrays.append(pa.nulls(sealed.group_rows[group], kind))
        else:
            values = table.column(name)
            places = unreadable(column.kind, values)
            arrays.append(_without(values.combine_chunks(), places))
    return pa.Table.from_arrays(arrays, schema=sealed.schema)


def segments_left(sealed: ParquetFragment, saved: Sequence[bool]) -> list[int]:
    """For each segment of a sealed file how many rows it has in the recovered groups.

    If the file has more or fewer rows than its metadata, the difference counts for the last segment.
    """
    sizes = [each.rows for each in sealed.segments]
    ends = [min(end, sealed.rows) for end in accumulate(sizes)]
    ends[-1] = sealed.rows
    groups = list(pairwise(accumulate(sealed.group_rows, initial=0)))
    spans = [span for span, is_saved in zip(groups, saved, strict=True) if is_saved]
    return [
        sum(max(0, min(stop, end) - max(start, first)) for start, stop in spans)
        for first, end in pairwise([0, *ends])
    ]


def _without(values: pa.Array, places: Sequence[int]) -> pa.Array:
    if not places:
        return values
    if pa.types.is_map(values.type):
        return without_cells(values, places)
    return pc.if_else(are_among(places, len(values)), pa.scalar(None, values.type), values)


# --- live files ----------------------------------------------------------------------------------


def salvage_live(path: Path, name: LiveName, most: int | None = None) -> SavedRows:
    """The readable rows of a live file, even if others are damaged, or the file is truncated.

    Args:
        most: the maximum number of rows to read; None for all.
    """
    try:
        check_regular(path)
        return saved_of(path.read_bytes(), name, most)
    except UNREADABLE as error:
        blame_file(error)
        return SavedRows(None, None, ())


def saved_of(data: bytes, name: LiveName, most: int | None = None) -> SavedRows:
    """Like ``salvage_live``, given the file's bytes."""
    try:
        return _saved(data, name, most)
    except (*UNREADABLE, struct.error, StopIteration):  # StopIteration: a stream without a batch
        return SavedRows(None, None, ())


def _saved(data: bytes, name: LiveName, most: int | None) -> SavedRows:
    image, batch = _opened(data)
    require_name(name, batch.schema)
    require_nodes(batch.schema)

    def take(buffer: Buffer, size: int) -> pa.Buffer:
        return pa.py_buffer(data[buffer.start : buffer.start + min(size, buffer.size)])

    place = node_place(batch.column(0), image)
    stored = take(place, place.size)
    nodes = pa.Array.from_buffers(pa.int64(), stored.size // 8, [None, stored])
    written = pc.indices_nonzero(nodes.slice(0, most))
    if not len(written):
        return SavedRows(None, 0, ())
    rows = written[-1].as_py() + 1
    columns: dict[Column, pa.Array] = {}
    lost: list[str] = []
    for at, field in enumerate(batch.schema):
        if at:
            try:
                column = live_column(field)
                places = places_of(column.kind, batch.column(at), image)
                whole = min(rows, rows_in(column.kind, places, take))
                live = live_array(column.kind, places, whole, take, check=True)
            except UNREADABLE:
                lost.append(field.name)
                continue
            found = pa.concat_arrays(
                [*_sealed(column.kind, live), pa.nulls(rows - whole, column.kind.sealed_type)]
            )
            found = _without(found, column.kind.unreadable(found))
            if whole < rows or found.null_count > rows - whole + _nulls(live):
                lost.append(str(column.key))
            if found.null_count < rows and column not in columns:
                columns[column] = found
    table = pa.Table.from_batches([sealed_batch(nodes[:rows], columns, batch.schema.metadata)])
    return SavedRows(table.take(written), len(written), tuple(lost))


def _nulls(live: pa.Array) -> int:
    """The number of nulls in a live column, by its validity bits."""
    return len(live) - pc.sum(live.is_valid()).as_py() if len(live) else 0


def _sealed(kind: Kind, live: pa.Array) -> Iterator[pa.Array]:
    """A live column in the sealed type, null where unreadable, found by repeated halving."""
    try:
        live.validate(full=True)
        yield kind.seal(live)
    except UNREADABLE:
        if len(live) < 2:
            yield pa.nulls(len(live), kind.sealed_type)
        else:
            half = len(live) // 2
            yield from _sealed(kind, live[:half])
            yield from _sealed(kind, live[half:])


def _opened(data: bytes) -> tuple[pa.Buffer, pa.RecordBatch]:
    """A live file's image and batch; if its end is truncated, it is filled with zeros."""
    image = pa.py_buffer(data)
    try:
        return image, ipc.open_file(image).get_batch(0)
    except UNREADABLE:
        if data[: len(_MAGIC)] != _MAGIC:
            raise
        image = pa.py_buffer(data + bytes(max(0, _end_of_batch(data) - len(data))))
        stream = image.slice(len(_MAGIC))
        return image, ipc.open_stream(stream).read_next_batch()


def _end_of_batch(data: bytes) -> int:
    """The end of the first batch's bytes, by the metadata of its message."""
    schema = len(_MAGIC)
    (schema_size,) = struct.unpack_from("<i", data, schema + 4)
    start = schema + 8 + schema_size
    (size,) = struct.unpack_from("<i", data, start + 4)
    message = start + 8
    # A flatbuffer table: the offset of its root, whose first word leads to the list of fields; the
    # fourth field of a message is the length of its body.
    table = message + struct.unpack_from("<I", data, message)[0]
    fields = table - struct.unpack_from("<i", data, table)[0]
    (at,) = struct.unpack_from("<H", data, fields + 4 + 2 * 3)
    (body,) = struct.unpack_from("<q", data, table + at)
    end = message + size + body
    if not message <= end <= len(data) + min(_MOST_BYTES, 1 << 10 << len(data).bit_length()):
        message_text = f"its batch claims to end at byte {end}"
        raise DamagedFileError(message_text)
    return int(end)
