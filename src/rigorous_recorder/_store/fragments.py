"""Pieces of a table as they are read: sealed files, and rows that are not sealed yet."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol, TypeVar

from .._lazy import lazy_module
from .._live.column import NODE, Column, column_of
from .._live.layout import Buffer, map_of
from .._live.segment import arrow_of
from ..errors import DamagedFileError, DamagedFileWarning
from .folder import Folder
from .seal import about

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq
    from pyarrow import ipc
else:
    pa = lazy_module("pyarrow")
    ipc = lazy_module("pyarrow.ipc")
    pc = lazy_module("pyarrow.compute")
    pq = lazy_module("pyarrow.parquet")

__all__ = [
    "UNREADABLE",
    "Fragment",
    "Loose",
    "Origin",
    "Sealed",
    "open_sealed",
    "read_live",
    "readable_or_warn",
]

_T = TypeVar("_T")

#: What pyarrow, and what is made of its answer, raise for bytes that are not what they should be.
UNREADABLE: Final = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
)


class Origin(NamedTuple):
    """Where rows stand among all rows: by writer, in the order in which writers started."""

    started: int
    writer: str
    number: int


class Fragment(Protocol):
    """Some rows of one table, in the order in which they were logged."""

    origin: Origin
    columns: dict[Column, str]
    rows: int

    @property
    def nodes(self) -> pa.Array:
        """Ids of the nodes whose rows these are, each once."""

    def tables(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows in pieces, with ``_node`` and those of ``columns`` that are here, in order."""


class Loose:
    """Rows in memory."""

    def __init__(self, number: int, batch: pa.RecordBatch) -> None:
        said = about(batch.schema)
        self.origin = Origin(said.get("started", 0), said.get("writer", ""), number)
        self.columns = _columns(batch.schema)
        self.rows: int = batch.num_rows
        self.table = pa.Table.from_batches([batch])

    @cached_property
    def nodes(self) -> pa.Array:
        """Ids of the nodes whose rows these are, each once."""
        return pc.unique(self.table.column(NODE))

    def tables(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows, with ``_node`` and those of ``columns`` that are here, in order."""
        yield self.table.select([NODE, *_names(self.columns, columns)])


class Sealed:
    """Rows in a sealed file."""

    def __init__(self, path: Path, schema: pa.Schema, row_counts: list[int]) -> None:
        said = about(schema)
        #: For each segment in the file, its number and how many rows it has.
        self.segments: list[tuple[int, int]] = [(n, rows) for n, rows in said["segments"]]
        self.origin = Origin(said["started"], said["writer"], self.segments[0][0])
        self.path = path
        self.schema = schema
        self.columns = _columns(schema)
        self.rows = sum(row_counts)
        self._groups = len(row_counts)
        self._sound: dict[str, bool] = {}

    def tables(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows, a row group at a time; what can't be read is left out with a warning."""
        names = [NODE, *_names(self.columns, columns)]
        try:
            with _open(self.path) as file:
                yield from self._readable(file, names)
        except FileNotFoundError:
            yield from self._moved().tables(columns)
        except UNREADABLE as error:
            warn_damaged(self.path, error)

    @cached_property
    def nodes(self) -> pa.Array:
        """Ids of the nodes whose rows these are, each once; without those that can't be read."""
        found = [pc.unique(table.column(NODE)) for table in self.tables([])]
        return pc.unique(pa.concat_arrays([pa.array([], pa.int64()), *found]))

    def is_sound(self, columns: Collection[Column]) -> bool:
        """Whether these can be read, and their checksums are right; found out once."""
        wanted = set(_names(self.columns, list(columns))) - self._sound.keys()
        if wanted:
            self._sound |= dict.fromkeys(wanted, self._can_read([NODE, *wanted]))
        return all(self._sound[name] for name in _names(self.columns, list(columns)))

    def _can_read(self, names: list[str]) -> bool:
        try:
            with _open(self.path) as file:
                for group in range(self._groups):
                    file.read_row_group(group, columns=names, use_threads=False)
        except UNREADABLE:
            return False
        return True

    def slice_of(self, segments: list[tuple[int, int]]) -> tuple[int, int]:
        """First row and number of rows that these segments have in this file."""
        wanted = {number for number, _ in segments}
        first = sum(rows for number, rows in self.segments if number < min(wanted))
        return first, sum(rows for number, rows in self.segments if number in wanted)

    def _moved(self) -> Fragment:
        """The same rows in the file that they were compacted into meanwhile."""
        folder = Folder(self.path.parent.parent)
        table = self.path.parent.name
        for name in folder.sealed(table):
            if name.covers(self.origin.writer, self.origin.number):
                return _Part(open_sealed(folder.sealed_path(table, name)), self.segments)
        raise FileNotFoundError(errno.ENOENT, "gone from the collection", str(self.path))

    def _readable(self, file: pq.ParquetFile, names: list[str]) -> Iterator[pa.Table]:
        for group in range(self._groups):
            read = partial(file.read_row_group, group, columns=names)
            table = readable_or_warn(self.path, read)
            if table is not None:
                # Names with dots select columns below them too: take just what was asked for.
                yield table.select(names)


class _Part:
    """Some segments of a sealed file that has more."""

    def __init__(self, whole: Sealed, segments: list[tuple[int, int]]) -> None:
        self._whole = whole
        self._first, self.rows = whole.slice_of(segments)
        self.origin = whole.origin
        self.columns = whole.columns
        self.nodes = whole.nodes

    def tables(self, columns: Sequence[Column]) -> Iterator[pa.Table]:
        """The rows, with ``_node`` and those of ``columns`` that are here, in order."""
        skip, left = self._first, self.rows
        for table in self._whole.tables(columns):
            piece = table.slice(min(skip, table.num_rows), left)
            skip -= min(skip, table.num_rows)
            left -= piece.num_rows
            if piece.num_rows:
                yield piece


def open_sealed(path: Path) -> Sealed:
    """The footer of a sealed file.

    Raises:
        FileNotFoundError: it was compacted away.
        DamagedFileError: it is not what it should be.
    """
    try:
        with _open(path) as file:
            meta = file.metadata
            counts = [meta.row_group(group).num_rows for group in range(meta.num_row_groups)]
            return Sealed(path, file.schema_arrow, counts)
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        raise DamagedFileError(str(error)) from error


def read_live(path: Path, number: int) -> Loose | None:
    """The rows that another writer's live file has now; None where the file is gone or empty.

    Raises:
        DamagedFileError: it is not what it should be.
    """
    try:
        with path.open("rb") as file:
            first = file.read()
            file.seek(0)
            # Rows that the first reading saw as written are whole in the second.
            second = file.read()
    except FileNotFoundError:
        return None
    try:
        return _loose(number, first, second)
    except UNREADABLE as error:
        raise DamagedFileError(str(error)) from error


def readable_or_warn(path: Path, read: Callable[[], _T]) -> _T | None:
    """What ``read`` gives; None and a warning naming the file where that can't be read."""
    try:
        return read()
    except FileNotFoundError:
        raise
    except UNREADABLE as error:
        warn_damaged(path, error)
        return None


def warn_damaged(path: Path, error: Exception) -> None:
    """Say which file can't be read, and why; everything else still is."""
    reason = str(error).strip().splitlines() or [type(error).__name__]
    message = f"{path} is damaged and left out: {reason[0]}. See collection.verify()"
    warnings.warn(message, DamagedFileWarning, stacklevel=3)


def _open(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(path, page_checksum_verification=True)


def _loose(number: int, first: bytes, second: bytes) -> Loose | None:
    image = pa.py_buffer(first)
    batch = ipc.open_file(image).get_batch(0)
    columns = [column for field in batch.schema if (column := column_of(field)) is not None]
    where = map_of(image, columns)
    node = where.node
    rows = _rows_written(memoryview(first)[node.start : node.start + node.size].cast("q"))
    if not rows:
        return None
    later = memoryview(second)

    def take(buffer: Buffer, size: int) -> Any:
        return pa.py_buffer(later[buffer.start : buffer.start + min(size, buffer.size)])

    found = arrow_of(where, rows, take, batch.schema.metadata, check=True)
    return Loose(number, found)


def _rows_written(nodes: memoryview) -> int:
    """Number of rows before the first ``_node`` that is 0."""
    low, high = 0, len(nodes)
    while low < high:
        middle = (low + high) // 2
        if nodes[middle]:
            low = middle + 1
        else:
            high = middle
    return low


def _columns(schema: pa.Schema) -> dict[Column, str]:
    found = ((column_of(field), field.name) for field in schema)
    return {column: name for column, name in found if column is not None}


def _names(here: dict[Column, str], wanted: Sequence[Column]) -> list[str]:
    return [here[column] for column in wanted if column in here]
