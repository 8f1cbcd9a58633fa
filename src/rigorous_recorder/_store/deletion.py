"""Deletion in sealed files: the rows that remain after nodes were deleted."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any, Final, NamedTuple

from .._arrow import pa, pc
from .._live.column import (
    DELETION_COLUMN,
    NODE,
    PARENT_COLUMN,
    SPARSE_COLUMNS,
    TIME_COLUMN,
    Column,
)
from .._values.chunks import int64_array, null_scalar, one_array
from .._values.sparse import SparseKind, cell_counts, keys_of, unpacked
from ..errors import DamagedFileError
from .folder import RECORDS
from .fragments import is_lost
from .node_ids import DELETED
from .parquet_fragment import ParquetFragment

__all__ = ["Cleaned", "Deleted", "Rows", "UnreadableError"]

_METADATA: Final = (PARENT_COLUMN, TIME_COLUMN, DELETION_COLUMN)


class Deleted(NamedTuple):
    """What was deleted from a collection.

    Attributes:
        nodes: sorted ids of all deleted nodes.
        tops: those that were deleted by an update of their own; the others are below them.
        retained: the column whose values on these are still needed.
    """

    nodes: pa.Array
    tops: Sequence[int]
    retained: Column


class Rows(NamedTuple):
    """Some rows of a file, by column."""

    node: Any
    columns: dict[Column, Any]


class UnreadableError(DamagedFileError):
    """Some rows of a file can't be read; a warning that names it was issued."""

    def __init__(self, file: ParquetFragment) -> None:
        super().__init__(f"{file.path}: not all of its {file.rows} rows can be read")
        self.file = file


class Cleaned:
    """The rows of a sealed file without the deleted ones.

    Attributes:
        file: the file.
        is_changed: whether anything is removed.
        segments: its segments, with the remaining numbers of rows.
        columns: the stored columns in which any remaining row has a value.
        sparse_keys: the keys of the remaining rows in sparse columns, for each kind.

    Raises:
        UnreadableError: some rows can't be read, and may have to be removed.
    """

    def __init__(self, file: ParquetFragment, table: str, deleted: Deleted | None) -> None:
        self.file = file
        self.segments = file.segments
        self.columns = list(file.file_columns.stored)
        self.sparse_keys: dict[str, list[str]] = {}
        for column in file.file_columns.sparse:
            self.sparse_keys.setdefault(column.kind.name, []).append(str(column.key))
        self._rule: _Rule | None = None
        if deleted is not None and _has_any(file, deleted.nodes):
            self._rule = (_RecordsRule if table == RECORDS else _NodesRule)(deleted)
            self._look(self._rule)
        self.is_changed = self.segments != file.segments

    def rows(self, columns: Sequence[Column]) -> Iterator[Rows]:
        """The remaining rows, a row group at a time, with the requested columns that exist.

        Raises:
            UnreadableError: not all rows can be read.
        """
        rule = self._rule
        for rows in _rows(self.file, columns if rule is None else [*columns, *rule.needs]):
            yield rows if rule is None else rule.cleaned(rows)

    def _look(self, rule: _Rule) -> None:
        stays, changes = _Flags(), _Flags()
        for rows in _rows(self.file, self.columns if rule.sees_all else []):
            stays.add(rule.stays(rows))
            changes.add(rule.changes(rows))
        self.segments = []
        ends = accumulate(segment.rows for segment in self.file.segments)
        for segment, end in zip(self.file.segments, ends, strict=True):
            remaining = stays.count(end - segment.rows, segment.rows)
            gone = changes.count(end - segment.rows, segment.rows)
            self.segments.append(segment._replace(rows=remaining, deleted=segment.deleted + gone))
        self._find_columns_in_use(rule)

    def _find_columns_in_use(self, rule: _Rule) -> None:
        found: set[Column] = set()
        keys: dict[str, dict[str, None]] = {}
        known = dict.fromkeys([*self.file.file_columns.stored, *rule.adds])
        for group in range(len(self.file.group_rows)):
            unsure = [c for c in known if c not in found or isinstance(c.kind, SparseKind)]
            for rows in _rows_of(self.file, group, [*unsure, *rule.needs]) if unsure else ():
                for column, values in rule.cleaned(rows).columns.items():
                    if not isinstance(column.kind, SparseKind):
                        is_in_use = values.null_count < len(values)
                    elif is_in_use := bool(here := keys_of(values)):
                        keys.setdefault(column.kind.kind.name, {}).update(dict.fromkeys(here))
                    if is_in_use:
                        found.add(column)
        self.columns = [column for column in known if column in found]
        self.sparse_keys = {kind: list(names) for kind, names in keys.items()}


def _has_any(file: ParquetFragment, nodes: pa.Array) -> bool:
    return any(file.has_any(group, nodes) for group in range(len(file.group_rows)))


def _rows(file: ParquetFragment, columns: Sequence[Column]) -> Iterator[Rows]:
    """All rows of a file, a row group at a time.

    Raises:
        UnreadableError: not all can be read.
    """
    count = 0
    for group in range(len(file.group_rows)):
        for rows in _rows_of(file, group, columns):
            count += len(rows.node)
            yield rows
    if count != file.rows:
        raise UnreadableError(file)


def _rows_of(file: ParquetFragment, group: int, columns: Sequence[Column]) -> Iterator[Rows]:
    """The rows of a row group, as they are stored; none if their nodes can't be read.

    Raises:
        UnreadableError: a column can't be read.
    """
    stored = file.file_columns.stored
    here = [column for column in dict.fromkeys(columns) if column in stored]
    if (table := file.stored(group, here)) is not None:
        if any(map(is_lost, table.columns)):
            raise UnreadableError(file)
        yield Rows(table.column(NODE), {column: table.column(stored[column]) for column in here})


class _Flags:
    """A boolean for each row of a file."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []

    def add(self, flags: Any) -> None:
        self._pieces += flags.chunks if isinstance(flags, pa.ChunkedArray) else [flags]

    def count(self, start: int, rows: int) -> int:
        """How many in a range of rows are true."""
        whole = pa.chunked_array(self._pieces, pa.bool_())
        return int(pc.sum(whole.slice(start, rows)).as_py() or 0)


class _Rule(ABC):
    """What is removed from the rows of a table.

    Attributes:
        needs: the columns that it reads.
        adds: the columns that it adds to rows, even if the file lacks them.
        sees_all: whether it needs all columns to decide which rows change.
    """

    needs: Sequence[Column] = ()
    adds: Sequence[Column] = ()
    sees_all = False

    def __init__(self, deleted: Deleted) -> None:
        self._deleted = deleted

    def _is_deleted(self, rows: Rows) -> Any:
        return pc.is_in(rows.node, value_set=self._deleted.nodes)

    @abstractmethod
    def stays(self, rows: Rows) -> Any:
        """For each row whether it remains."""

    @abstractmethod
    def changes(self, rows: Rows) -> Any:
        """For each row whether it is removed or changed."""

    @abstractmethod
    def cleaned(self, rows: Rows) -> Rows:
        """What stays."""


class _RecordsRule(_Rule):
    """Removes records of deleted nodes."""

    def stays(self, rows: Rows) -> Any:
        return pc.invert(self._is_deleted(rows))

    def changes(self, rows: Rows) -> Any:
        return self._is_deleted(rows)

    def cleaned(self, rows: Rows) -> Rows:
        return _filtered(rows, self.stays(rows))


class _NodesRule(_Rule):
    """Of the rows of deleted nodes, only the deletion remains.

    Each node has its own deletion: whatever was or will be logged below it is excluded without any
    other row.
    """

    sees_all = True

    def __init__(self, deleted: Deleted) -> None:
        super().__init__(deleted)
        self._tops = int64_array(deleted.tops)
        self._maps = SPARSE_COLUMNS[deleted.retained.kind]
        self.adds = (DELETION_COLUMN, deleted.retained)
        self.needs = [*_METADATA, deleted.retained, self._maps]

    def stays(self, rows: Rows) -> Any:
        has_parent = _values(rows, PARENT_COLUMN).is_valid()
        return pc.or_(
            pc.invert(self._is_deleted(rows)), pc.or_(has_parent, self._is_retained(rows))
        )

    def changes(self, rows: Rows) -> Any:
        parent = _values(rows, PARENT_COLUMN)
        loses = pc.invert(self.stays(rows))
        loses = pc.or_(loses, pc.not_equal(parent, DELETED).fill_null(False))
        for column, values in rows.columns.items():
            if column not in _METADATA:
                has_value = _has_any_value(column, values)
                if column == self._deleted.retained:
                    has_value = pc.and_not(has_value, self._is_retained(rows))
                loses = pc.or_(loses, has_value)
        return pc.and_(self._is_deleted(rows), loses)

    def cleaned(self, rows: Rows) -> Rows:
        is_deleted = self._is_deleted(rows)
        has_parent = _values(rows, PARENT_COLUMN).is_valid()
        columns = {
            column: values
            if column == TIME_COLUMN
            else pc.if_else(is_deleted, null_scalar(values.type), values)
            for column, values in rows.columns.items()
        }
        # It stays in a column of its own, wherever it was.
        key, found = self._deleted.retained, self._retained(rows)
        retained = pc.if_else(self._is_retained(rows), found, null_scalar(found.type))
        columns[key] = pc.if_else(is_deleted, retained, _values(rows, key))
        ends = pc.and_(is_deleted, has_parent)
        columns[PARENT_COLUMN] = pc.if_else(ends, DELETED, _values(rows, PARENT_COLUMN))
        columns[DELETION_COLUMN] = pc.if_else(ends, True, null_scalar(pa.bool_()))
        return _filtered(Rows(rows.node, columns), self.stays(rows))

    def _is_retained(self, rows: Rows) -> Any:
        """For each row whether it has a value that is still needed, on a node deleted by itself."""
        is_top = pc.is_in(rows.node, value_set=self._tops)
        return pc.and_(is_top, self._retained(rows).is_valid())

    def _retained(self, rows: Rows) -> Any:
        """The values that are still needed on some nodes, from their own column or a sparse one."""
        dense, maps = _values(rows, self._deleted.retained), rows.columns.get(self._maps)
        if maps is None:
            return dense
        (sparse,) = unpacked(one_array(maps), [str(self._deleted.retained.key)])
        return pc.coalesce(dense, sparse)


def _has_any_value(column: Column, values: Any) -> Any:
    """For each row whether it has a value in a stored column."""
    if isinstance(column.kind, SparseKind):
        return pc.greater(cell_counts(one_array(values)), 0)
    return values.is_valid()


def _values(rows: Rows, column: Column) -> Any:
    found = rows.columns.get(column)
    return pa.nulls(len(rows.node), column.kind.storage_type) if found is None else found


def _filtered(rows: Rows, mask: Any) -> Rows:
    columns = {column: values.filter(mask) for column, values in rows.columns.items()}
    return Rows(rows.node.filter(mask), columns)
