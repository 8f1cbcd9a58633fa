"""The index of the nodes: what resolving them takes longest to find out, beside the sealed files.

It has no values of attributes, only which rows of which files they are in. It is derived from the files in
``nodes/`` that it lists, can be deleted at any time, and is ignored if other files are there now.
"""

from __future__ import annotations

import contextlib
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from .._arrow import pa, pc, pq
from .._durable import publish, temporary_of
from .._values.chunks import count_to, int64_scalar, is_sorted, one_array
from ..errors import DamagedFileError
from .checksums import check_footer, damaged_chunks, fill, room_for
from .corruption import UNREADABLE
from .footer import describe_file, metadata_of
from .fragments import Fragment
from .parquet_fragment import ParquetFragment
from .path_checks import check_regular

__all__ = ["IndexFile", "NodeIndex"]

#: Fewer updates are resolved in the time that reading an index takes.
_LEAST_UPDATES: Final = 10_000
#: Of more files, reading a single column of each takes longer than resolving saves.
_MOST_FILES: Final = 64
#: An index that is larger than this, and than the files that it is of, is not written.
_SMALL: Final = 1 << 20
#: A process that writes an index for so many seconds has died.
_ABANDONED: Final = 60
_DELTAS: Final = "DELTA_BINARY_PACKED"
_TABLE: Final = "index"


class NodeIndex(NamedTuple):
    """The nodes in order of depth, and the updates of each; all arrays are int64.

    Attributes:
        ids: the id of each node, ancestors before their descendants.
        parents: the position of each node's parent; null for a root.
        depths: the number of ancestors of each node.
        attached: the update that attached each node to its parent; null for a root.
        of_row: for each update, in order of time, the position of its node.
        order: for each update its row in the files; None if the rows are in order.
        deleted: sorted ids of the deleted nodes; None if there are none.
        keys: the keys of all nodes, in the order of the flat table.
        last_time: the time of the latest update, in microseconds since the epoch.
    """

    ids: pa.Array
    parents: pa.Array
    depths: pa.Array
    attached: pa.Array
    of_row: pa.Array
    order: pa.Array | None
    deleted: pa.Array | None
    keys: Sequence[str]
    last_time: int


class IndexFile(NamedTuple):
    """Where the index of a collection's nodes is.

    Attributes:
        may_write: whether it can be written, too.
    """

    path: Path
    may_write: bool

    def read(self, fragments: Sequence[Fragment]) -> NodeIndex | None:
        """The index of exactly these rows; None if there is none that is intact."""
        if (files := _files_of(fragments)) is None:
            return None
        try:
            check_regular(self.path)
            return _read(self.path.read_bytes(), files, sum(each.rows for each in fragments))
        except UNREADABLE:  # it is derived, and written again
            return None

    def write(self, fragments: Sequence[Fragment], index: NodeIndex) -> None:
        """Write the index of these rows, if it can be read again, and saves more than it takes."""
        files = _files_of(fragments) if self.may_write else None
        if files is None:
            return
        most = max(_SMALL, _size_of(fragments))
        # A folder can be full, or belong to another user.
        with contextlib.suppress(OSError), _new_file(temporary_of(self.path)) as sink:
            written = _write(sink, files, index)
            sink.flush()
            fill(Path(sink.name), written)
            if Path(sink.name).stat().st_size <= most:
                publish(Path(sink.name), self.path)  # not synced: its checksums prove it


def _files_of(fragments: Sequence[Fragment]) -> list[list[str]] | None:
    """The name of each file, and what its contents are recognized by; None if it has no index."""
    files = [each for each in fragments if isinstance(each, ParquetFragment)]
    rows = sum(each.rows for each in files)
    if len(files) < len(fragments) or len(files) > _MOST_FILES or rows < _LEAST_UPDATES:
        return None
    found = [[each.path.name, _checksum(each.sums)] for each in files if each.sums]
    return found if len(found) == len(files) else None


def _checksum(sums: Sequence[int]) -> str:
    """That of all checksums of a file's column chunks, which are those of all its values."""
    return f"{zlib.crc32(''.join(f'{each:08x}' for each in sums).encode()):08x}"


def _size_of(fragments: Sequence[Fragment]) -> int:
    files = (each.path for each in fragments if isinstance(each, ParquetFragment))
    return sum(each.stat().st_size for each in files if each.exists())


@contextlib.contextmanager
def _new_file(path: Path) -> Iterator[BinaryIO]:
    """A file that no other process writes, and that is removed unless it was renamed.

    Raises:
        FileExistsError: another process is writing it.
    """
    with contextlib.suppress(FileNotFoundError):
        if abs(time.time() - path.lstat().st_mtime) > _ABANDONED:
            path.unlink()
    with path.open("xb") as sink:
        try:
            yield sink
        finally:
            path.unlink(missing_ok=True)


def _arrays(index: NodeIndex) -> dict[str, pa.Array]:
    return {
        name: values
        for name, values in index._asdict().items()
        if name not in {"keys", "last_time"} and values is not None
    }


def _write(sink: Any, files: list[list[str]], index: NodeIndex) -> pq.FileMetaData:
    """Write an index: each array is a column, and shorter ones have nulls at the end."""
    arrays = _arrays(index)
    rows = max(map(len, arrays.values()))
    padded = [
        pa.concat_arrays([each, pa.nulls(rows - len(each), pa.int64())]) for each in arrays.values()
    ]
    table = pa.Table.from_arrays(padded, names=list(arrays))
    lengths = {name: len(each) for name, each in arrays.items()}
    metadata = describe_file(
        table=_TABLE,
        files=files,
        lengths=lengths,
        keys=list(index.keys),
        last_time=index.last_time,
    )
    schema = table.schema.with_metadata(metadata | room_for(table.schema, 1))
    with pq.ParquetWriter(
        sink,
        schema,
        compression="zstd",
        use_dictionary=False,
        write_statistics=False,
        column_encoding=dict.fromkeys(arrays, _DELTAS),
    ) as writer:
        writer.write_table(table.cast(schema), row_group_size=max(1, rows))
    return writer.writer.metadata


def _read(data: bytes, files: list[list[str]], rows: int) -> NodeIndex | None:
    """An index from the bytes of its file; None if it is of other files.

    Raises:
        DamagedFileError, or another error of ``UNREADABLE``: it is damaged.
    """
    source = pa.BufferReader(data)
    sums = check_footer(source)
    file = pq.ParquetFile(source)
    found = metadata_of(file.schema_arrow)
    if found.get("table") != _TABLE or found.get("files") != files:
        return None
    places = range(file.metadata.num_columns)
    if not sums or any(damaged_chunks(source, file.metadata, sums, at) for at in places):
        message = "a checksum does not match"
        raise DamagedFileError(message)
    index = _index_in(file.read(use_threads=False), found)
    _check(index, rows)
    return index


def _index_in(table: pa.Table, found: Mapping[str, Any]) -> NodeIndex:
    arrays = {
        name: one_array(table.column(name)).slice(0, length)
        for name, length in found["lengths"].items()
    }
    defaults = {"order": None, "deleted": None}
    return NodeIndex(**{**defaults, **arrays}, keys=found["keys"], last_time=found["last_time"])


def _check(index: NodeIndex, rows: int) -> None:
    """Raise for places that are nowhere, and for nodes that are their own ancestors."""
    nodes, updates = len(index.ids), len(index.of_row)
    above = pc.add(index.depths.take(index.parents), int64_scalar(1))
    is_right = (
        all(each.type == pa.int64() for each in _arrays(index).values())
        and len(index.parents) == len(index.attached) == nodes
        and index.ids.null_count == index.of_row.null_count == 0
        and _are_below(index.of_row, nodes)
        and _are_below(index.attached, updates)
        and _are_below(index.parents, nodes)
        and pc.all(pc.less(index.parents, count_to(nodes))).as_py() is not False
        and above.fill_null(int64_scalar(0)).equals(index.depths)
        and is_sorted(index.depths)
        and (updates == rows if index.order is None else len(index.order) == updates)
        and (index.order is None or _are_below(index.order, rows))
    )
    if not is_right:
        message = "it is not an index of nodes"
        raise DamagedFileError(message)


def _are_below(values: pa.Array, stop: int) -> bool:
    found = pc.min_max(values).as_py()
    return found["min"] is None or 0 <= found["min"] <= found["max"] < stop
