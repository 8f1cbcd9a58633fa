"""The metadata of files: the segments of its rows, and the columns of its schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby
from typing import Any, Final, NamedTuple

from .._arrow import ipc, pa
from .._live.column import META, NODE, SPARSE_COLUMNS, Column, Key, claim, column_of
from .._once import remembered
from .._values.kinds import Kind
from .._values.sparse import SparseKind, keys_of
from ..errors import DamagedFileError
from .corruption import require_type
from .folder import FORMAT, SealedName, sealed_name

__all__ = [
    "ColumnNames",
    "FileColumns",
    "Origin",
    "SegmentRange",
    "check_name",
    "columns_in",
    "describe_file",
    "metadata_of",
    "segment_metadata",
    "segments_in",
    "sparse_keys",
    "sparse_metadata",
    "with_sparse_keys",
    "writers_metadata",
]

#: The types that columns of a kind have in files: their own, and that of rows in memory.
_TYPES: Final[dict[Kind, tuple[pa.DataType, ...]]] = {}
#: The key in a file's metadata for the keys of each kind's sparse column.
_SPARSE: Final = "sparse"
#: So long lists of keys have thousands of them.
_MANY_BYTES: Final = 1 << 16
#: Added to the number of rows that were logged after all sealed ones of their writer.
_COUNTS: Final = (2, 3)


class Origin(NamedTuple):
    """The position of rows among all rows: by writer, in the order in which writers started."""

    started: int
    writer: str
    number: int


class SegmentRange(NamedTuple):
    """Rows that were in one live table.

    Attributes:
        origin: their position among all rows.
        rows: how many there are.
        deleted: how many were deleted: dropped, or reduced to the fact of their deletion.
    """

    origin: Origin
    rows: int
    deleted: int = 0

    @property
    def key(self) -> tuple[str, int]:
        """The segment that they are: its writer, and its number."""
        return self.origin.writer, self.origin.number

    @property
    def end(self) -> int:
        """How many rows the segment had."""
        return self.rows + self.deleted


def describe_file(**file_metadata: Any) -> dict[bytes, bytes]:
    """Metadata of a file's schema."""
    return {META: json.dumps({"format": FORMAT, **file_metadata}).encode()}


def metadata_of(schema: pa.Schema) -> dict[str, Any]:
    """The metadata of a file; empty if it has none."""
    file_metadata = (schema.metadata or {}).get(META)
    return json.loads(file_metadata) if file_metadata else {}


def segment_metadata(number: int, rows: int, deleted: int = 0) -> list[int]:
    """What a file lists of a segment: its number, its rows, and how many were deleted, if any."""
    return [number, rows, deleted] if deleted else [number, rows]


def segments_in(file_metadata: dict[str, Any]) -> list[SegmentRange]:
    """The segments in a file of one writer or several, from its metadata."""
    listed = [
        (Origin(writer["started"], writer["writer"], number), *counts)
        for writer in file_metadata.get("writers", [file_metadata])
        for number, *counts in writer["segments"]
    ]
    numbers = [each for (start, _, n), *counts in listed for each in (start, n, *counts)]
    has_others = [each for each in numbers if not isinstance(each, int) or each < 0]
    if not listed or has_others or [each for each in listed if len(each) not in _COUNTS]:
        message = "its metadata does not list its segments"
        raise DamagedFileError(message)
    return [SegmentRange(*each) for each in listed]


def writers_metadata(segments: Iterable[SegmentRange]) -> list[dict[str, Any]]:
    """The metadata of segments, for each writer."""
    by_writer = groupby(segments, key=lambda each: (each.origin.started, each.origin.writer))
    return [
        {
            "writer": writer,
            "started": started,
            "segments": [segment_metadata(each.origin.number, *each[1:]) for each in found],
        }
        for (started, writer), found in by_writer
    ]


def check_name(
    table: str, file: str, file_metadata: dict[str, Any], segments: Sequence[SegmentRange]
) -> None:
    """Raise for a file that is not the one that its name refers to, as if two were swapped."""
    name = sealed_name(file)
    if isinstance(name, SealedName):
        numbers = [each.origin.number for each in segments]
        is_meant = {each.origin.writer for each in segments} == {name.writer} and (
            (min(numbers), max(numbers)) == (name.first, name.last)
        )
    else:
        is_meant = file_metadata.get("merged") == file.removesuffix(".parquet")
    if not is_meant or file_metadata.get("table", table) != table:
        found = segments[0].origin
        message = (
            f"its footer belongs to another file: of the {file_metadata.get('table')} of writer"
            f" {found.writer}, from segment {found.number} on"
        )
        raise DamagedFileError(message)


class ColumnNames(dict[Column, str]):
    """Columns, each with its name in tables; not changed once it is complete."""

    __slots__ = ("_first", "_others")

    #: The first column of each key, and its others, which few have; set on first use.
    _first: dict[Key, Column]
    _others: dict[Key, list[Column]]

    def of(self, key: Key) -> tuple[Column, ...]:
        """The columns of a key: a key in a wide table costs no look at the other columns."""
        try:
            first = self._first.get(key)
        except AttributeError:
            first = self._by_key().get(key)
        return () if first is None else (first, *self._others.get(key, ()))

    def _by_key(self) -> dict[Key, Column]:
        first: dict[Key, Column] = {}
        others: dict[Key, list[Column]] = {}
        for column in self:
            if first.setdefault(column.key, column) is not column:
                others.setdefault(column.key, []).append(column)
        self._others, self._first = others, first
        return first


class FileColumns(NamedTuple):
    """The columns of a file.

    Attributes:
        names: each column for which it has values, with its name in a fragment's tables.
        stored: each column as it is in the file, with its name there.
        sparse: the columns with values in a sparse column, each with that one's.
    """

    names: ColumnNames
    stored: Mapping[Column, str]
    sparse: Mapping[Column, Column]

    def storing(self, columns: Iterable[Column]) -> list[Column]:
        """The stored columns with the values of these columns: each its own, or a sparse one."""
        wanted = list(columns)
        found = dict.fromkeys(filter(self.stored.__contains__, wanted))
        maps = {column.kind: self.sparse[column] for column in wanted if column in self.sparse}
        return [*found, *maps.values()]

    def not_all_in(self, names: Collection[str]) -> list[Column]:
        """The columns with values in a column of the file that is not one of these."""
        return [
            column
            for column in self.names
            if any(self.stored[each] not in names for each in self.storing([column]))
        ]

    def names_storing(self, columns: Iterable[Column]) -> list[str]:
        """Their names in the file."""
        return [self.stored[column] for column in self.storing(columns)]


def columns_in(schema: pa.Schema) -> FileColumns:
    """The columns of a file.

    Raises:
        DamagedFileError: a column has a type that this library never writes.
    """
    keys = metadata_of(schema).get(_SPARSE, {})
    listed = json.dumps(keys) if keys else ""
    find = _columns_of if len(listed) < _MANY_BYTES else _many_columns_of
    return find(schema.remove_metadata().serialize().to_pybytes(), listed)


def sparse_keys(rows: pa.Table | pa.RecordBatch) -> dict[str, list[str]]:
    """The keys in the sparse columns of rows, for each kind."""
    names = set(rows.schema.names)
    found: dict[str, list[str]] = {}
    for kind, column in SPARSE_COLUMNS.items():
        if (name := str(column.key)) in names and column_of(rows.schema.field(name)) == column:
            found[kind.name] = keys_of(rows.column(name))
    return found


def sparse_metadata(keys: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """The metadata of a file with these keys in sparse columns, for each kind."""
    return {_SPARSE: keys} if keys else {}


def with_sparse_keys(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows whose metadata lists the keys of their sparse columns, if they have any."""
    if not (keys := sparse_keys(batch)):
        return batch
    file_metadata = {**metadata_of(batch.schema), **sparse_metadata(keys)}
    metadata = {**(batch.schema.metadata or {}), META: json.dumps(file_metadata).encode()}
    return batch.replace_schema_metadata(metadata)


def _read_columns(serialized: bytes, sparse_keys: str) -> FileColumns:
    schema = ipc.read_schema(pa.py_buffer(serialized))
    stored: dict[Column, str] = {}
    for field in schema:
        if field.name != NODE and (column := column_of(field)) is not None:
            types = _TYPES.get(column.kind) or _types_in_files(column.kind)
            if field.type not in types:
                require_type(field, *types)
            stored[column] = field.name
    require_type(schema.field(NODE), pa.int64())
    return _logical(stored, json.loads(sparse_keys or "{}"))


#: Many files have the same columns; some have so many that few of them are cached.
_columns_of = remembered(256)(_read_columns)
_many_columns_of = remembered(8)(_read_columns)


def _logical(stored: Mapping[Column, str], keys: Mapping[str, Sequence[str]]) -> FileColumns:
    """The columns of a file, given those that it has, and the keys of each kind's sparse one."""
    names = ColumnNames()
    sparse: dict[Column, Column] = {}
    for column, name in stored.items():
        if isinstance(column.kind, SparseKind):
            sparse |= dict.fromkeys(_listed(column.kind.kind, keys), column)
        else:
            names[column] = name
    used = {NODE, *stored.values()}
    names |= {column: claim(column, used) for column in sparse if column not in names}
    return FileColumns(names, stored, sparse)


def _listed(kind: Kind, keys: Mapping[str, Sequence[str]]) -> list[Column]:
    found = keys.get(kind.name, [])
    if not isinstance(found, list) or not all(isinstance(key, str) for key in found):
        message = f"its metadata does not list the keys of its sparse column of {kind.name}"
        raise DamagedFileError(message)
    return [Column(sys.intern(key), kind) for key in found]


def _types_in_files(kind: Kind) -> tuple[pa.DataType, ...]:
    return _TYPES.setdefault(kind, kind.file_types)
