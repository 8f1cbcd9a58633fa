"""Reading live files of other writers: rows that are not sealed yet."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .._arrow import ipc, pa, pc
from .._live.batches import arrow_of
from .._live.column import NODE, Column, column_of
from .._live.layout import Buffer, map_of
from .._mounts import has_layers
from .._values.chunks import int64_scalar
from ..errors import DamagedFileError
from .corruption import UNREADABLE, blame_file, require_type
from .folder import Folder, LiveName
from .footer import metadata_of
from .fragments import InMemoryFragment
from .path_checks import check_regular

__all__ = [
    "gap_behind",
    "has_more",
    "live_column",
    "read_live",
    "require_name",
    "require_nodes",
    "unsynced",
]


def read_live(path: Path, name: LiveName, most: int | None = None) -> InMemoryFragment | None:
    """The current rows of another writer's live file; None if the file is gone or empty.

    Args:
        most: the maximum number of rows to read; None for all.

    Raises:
        DamagedFileError: it is damaged.
    """
    if most == 0:
        return None
    try:
        check_regular(path)
        with path.open("rb") as file:
            _check_named(path, file.fileno())
            first = file.read()
            file.seek(0)
            # Rows that the first read saw as written are complete in the second.
            second = file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        blame_file(error)
        raise DamagedFileError(str(error)) from error
    try:
        return _loose(name, first, second, most)
    except UNREADABLE as error:
        raise DamagedFileError(str(error)) from error


def _check_named(path: Path, descriptor: int) -> None:
    """Raise if an opened file no longer has this name, so that its writer does not write to it.

    Raises:
        DamagedFileError: that is the case, and stays so.
    """
    opened = os.fstat(descriptor)
    if not opened.st_nlink and os.path.samestat(opened, path.stat()) and has_layers(path.parent):
        message = (
            "it was replaced in the layer below this overlay, which does not see that: open the"
            " collection by the path that its writer uses"
        )
        raise DamagedFileError(message)


def has_more(folder: Folder, name: LiveName, rows: int) -> bool:
    """Whether a live file has more than this number of rows, whatever they contain."""
    try:
        found = read_live(folder.live_path(name), name)
    except DamagedFileError:
        return True
    return found is not None and (found.rows > rows or found.has_gap)


def unsynced(rows: int) -> DamagedFileError:
    """The error for a live file with unsynced rows from before a machine crash."""
    message = (
        f"the machine went down, or this is another machine: all after the first {rows:,} rows,"
        " which were synced, can't be trusted"
    )
    return DamagedFileError(message)


def gap_behind(rows: int) -> DamagedFileError:
    """The error for a live file with rows after an unwritten one."""
    return DamagedFileError(f"a row is missing after the first {rows:,} rows, which are read")


def _loose(
    name: LiveName, first: bytes, second: bytes, most: int | None
) -> InMemoryFragment | None:
    image = pa.py_buffer(first)
    batch = ipc.open_file(image).get_batch(0)
    require_name(name, batch.schema)
    columns = _live_columns(batch.schema)
    where = map_of(image, columns)
    later = memoryview(second)
    rows, has_gap = _rows_written(*(_slice(each, where.node) for each in (first, later)))
    if most is not None and rows >= most:
        rows, has_gap = most, False
    if not rows and not has_gap:
        return None

    def take(buffer: Buffer, size: int) -> Any:
        return pa.py_buffer(later[buffer.start : buffer.start + min(size, buffer.size)])

    found = arrow_of(where, rows, take, batch.schema.metadata, check=True)
    return InMemoryFragment(name.number, found, has_gap=has_gap)


def _slice(image: bytes | memoryview, buffer: Buffer) -> memoryview:
    return memoryview(image)[buffer.start : buffer.start + buffer.size]


def _rows_written(first: memoryview, later: memoryview) -> tuple[int, bool]:
    """The number of rows before the first ``_node`` of 0, and whether there are rows after it.

    A writer writes in order, so what the first read saw is complete in the later one.
    """
    count = (len(bytes(first).rstrip(b"\0")) + 7) // 8
    nodes = pa.Array.from_buffers(pa.int64(), count, [None, pa.py_buffer(later[: 8 * count])])
    nodes.validate()
    gap: int = pc.index(nodes, int64_scalar(0)).as_py()
    return (count, False) if gap < 0 else (gap, True)


def require_name(name: LiveName, schema: pa.Schema) -> None:
    """Raise unless a live file belongs to the writer and table in its name.

    Raises:
        DamagedFileError: it belongs to others.
    """
    file_metadata = metadata_of(schema)
    if (file_metadata["writer"], file_metadata["table"]) != (name.writer, name.table):
        message = f"it is of the {file_metadata['table']} of writer {file_metadata['writer']}, not what its name indicates"
        raise DamagedFileError(message)
    if not isinstance(file_metadata["started"], int):
        message = "its metadata lacks the start of its writer"
        raise DamagedFileError(message)


def _live_columns(schema: pa.Schema) -> list[Column]:
    """The columns of a live file, in order, without ``_node``, which is the first."""
    require_nodes(schema)
    found = [live_column(field) for field in list(schema)[1:]]
    if len(set(found)) < len(found):
        message = "a column is there twice"
        raise DamagedFileError(message)
    return found


def require_nodes(schema: pa.Schema) -> None:
    """Raise unless the first column of a live file is ``_node``.

    Raises:
        DamagedFileError: it is another one.
    """
    if schema.names[0] != NODE:
        message = f"its first column is {schema.names[0]!r}; expected {NODE}"
        raise DamagedFileError(message)
    require_type(schema.field(0), pa.int64())


def live_column(field: pa.Field) -> Column:
    """The column of a live file's field.

    Raises:
        DamagedFileError: it is not valid, or its type is not that of its kind.
    """
    column = column_of(field)
    if column is None:
        message = f"column {field.name!r} is there twice"
        raise DamagedFileError(message)
    require_type(field, *column.kind.live_types)
    return column
