"""Sealed files as fragments: damaged parts are left out with a warning."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, cast

from .._arrow import pa, pq
from .._live.column import NODE, Column
from .._once import once
from .._values.arrays import ArrayKind
from .._values.kinds import Kind
from ..errors import DamagedFileError
from .checksums import check_chunks
from .corruption import (
    UNREADABLE,
    blame_file,
    warn_rows_left_out,
    warn_values_missing,
)
from .folder import NODES, SealedName
from .footer import check_name, columns_in, metadata_of, segments_in
from .fragments import Fragment, Spans, between, is_lost, names_of
from .leaves import leaf_places
from .node_spans import nodes_in
from .path_checks import check_regular

__all__ = [
    "ParquetFragment",
    "node_ranges_in",
    "open_parquet",
]

#: A single object for all files.
_NOTHING: Final[frozenset[tuple[int, str]]] = frozenset()
_NO_GROUPS: Final[frozenset[int]] = frozenset()
#: The smallest and largest possible id.
_ALL_IDS: Final = (-(2**63), 2**63 - 1)


class ParquetFragment(Fragment):
    """The rows of a sealed file; its row groups are the groups.

    Args:
        find_successor: returns the file that has the rows after compaction; None if it is damaged.
        sums: the checksums of the column chunks, if the file has them.

    Attributes:
        unplaced: row groups whose ``_node`` can't be read, as far as known.
        node_spans: the ids of its nodes in its footer, if it has them.
        sums: the checksums of the column chunks, if the file has them.
    """

    def __init__(
        self,
        path: str | Path,
        schema: pa.Schema,
        group_rows: Sequence[int],
        find_successor: Callable[[ParquetFragment], ParquetFragment | None],
        *,
        sums: Sequence[int] | None = None,
    ) -> None:
        file_metadata = metadata_of(schema)
        super().__init__(segments_in(file_metadata), columns_in(schema), group_rows)
        #: How many times rows were dropped from files of exactly these segments.
        self.rewritten = int(file_metadata.get("rewritten", 0))
        self._path = str(path)
        place, name = os.path.split(self._path)
        _, table = os.path.split(place)
        check_name(table, name, file_metadata, self.segments)
        self.schema = schema
        self.is_of_nodes = table == NODES
        self._find_successor = find_successor
        self.sums = sums
        self.unplaced = _NO_GROUPS
        self.node_spans: bytes | None = None
        self._sound: dict[str, bool] = {}
        #: The columns of groups whose checksums were verified.
        self._checked = _NOTHING

    @property
    def path(self) -> Path:
        """The path of the file, which may have been compacted away."""
        return Path(self._path)

    @property
    def writers(self) -> set[str]:
        """The writers of its rows."""
        return {each.origin.writer for each in self.segments}

    @once
    def ranges(self) -> list[SealedName]:
        """Its range for each writer, as the name of a file with only that."""
        numbers: dict[str, list[int]] = {}
        for each in self.segments:
            numbers.setdefault(each.origin.writer, []).append(each.origin.number)
        return [SealedName(writer, min(found), max(found)) for writer, found in numbers.items()]

    def stored(
        self, group: int, columns: Sequence[Column], *, nodes: bool = True
    ) -> pa.Table | None:
        """The readable part of a row group, as it is stored."""
        names = names_of(self.file_columns.stored, columns)
        if nodes or not names:
            names = [NODE, *names]
        try:
            found = self._try(group, names)
            return found if isinstance(found, pa.Table) else self._readable_part(group, names)
        except FileNotFoundError:
            return self._moved(group, columns)

    def _readable_part(self, group: int, names: Sequence[str]) -> pa.Table | None:
        """The same for a row group whose columns can't all be read together."""
        rows = self.group_rows[group]
        columns = {name: column for column, name in self.file_columns.stored.items()}
        arrays: list[Any] = []
        for name in names:
            found = self._try(group, [name])
            if isinstance(found, pa.Table):
                arrays.append(found.column(name))
            elif name == NODE:
                self.unplaced |= {group}
                warn_rows_left_out(self.path, group, rows, found)
                return None
            else:
                column = columns[name]
                warn_values_missing(self.path, group, rows, cast("str", column.key), found)
                is_empty = self._nulls([group], [column])[0].get(column) == rows
                lost = self.schema.field(name).type if is_empty else pa.null()
                arrays.append(pa.nulls(rows, lost))
        there = [self.schema.field(name) for name in names]
        fields = [field.with_type(each.type) for field, each in zip(there, arrays, strict=True)]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, self.schema.metadata))

    def is_placed(self, group: int) -> bool:
        """Whether ``_node`` of a row group can be read, as far as known."""
        return group not in self.unplaced

    def nodes_among(self, group: int, ids: pa.Array) -> pa.Array:
        """The nodes of a row group that are among these; none if its statistics rule it out."""
        low, high = self.node_ranges[group]
        here = between(ids, low, high)
        return super().nodes_among(group, here) if len(here) else here

    @once
    def nodes(self) -> pa.Array:
        """The distinct ids of the rows' nodes, without those that can't be read.

        Only rows of a file without them in its footer are read.
        """
        listed = None if self.unplaced else nodes_in(self.node_spans, self.rows)
        return super().nodes if listed is None else listed

    @once
    def node_ranges(self) -> list[tuple[int, int]]:
        """The range of node ids of each row group, from its statistics; all ids without those."""
        return [_ALL_IDS] * len(self.group_rows)

    def count(self, column: Column) -> int:
        """How many rows have a value in a column of this fragment; for arrays, non-empty ones.

        Only reads the footer if it has the counts.
        """
        if column not in self._counts:
            self._counts[column] = super().count(column)
        return self._counts[column]

    @once
    def _counts(self) -> dict[Column, int]:
        """The counts in the footer, which is read once for all columns."""
        columns = [c for c in self.file_columns.stored if c not in self.file_columns.sparse]
        groups = self._nulls(range(len(self.group_rows)), columns)
        return {
            column: sum(
                max(0, rows - each[column])
                for rows, each in zip(self.group_rows, groups, strict=True)
            )
            for column in columns
            if all(column in each for each in groups)
        }

    def nulls(self, group: int, columns: Sequence[Column]) -> dict[Column, int]:
        """How many rows of a group have no value in each of some columns, by the footer.

        Not of columns with values in a sparse one, and not where lists are missing or empty.
        """
        sparse, rows = self.file_columns.sparse, self.group_rows[group]
        (found,) = self._nulls([group], [column for column in columns if column not in sparse])
        return {
            column: nulls
            for column, nulls in found.items()
            if nulls < rows or not pa.types.is_nested(column.kind.sealed_type)
        }

    def _nulls(self, groups: Iterable[int], columns: Iterable[Column]) -> list[dict[Column, int]]:
        """For each group the nulls in stored columns; an empty or missing list is one."""
        places, stored = leaf_places(self.schema), self.file_columns.stored
        here = {column: places[stored[column]][0] for column in columns}
        try:
            with open_parquet(self._path) as file:
                return [_nulls_in(file.metadata.row_group(group), here) for group in groups]
        except UNREADABLE:  # damaged, or compacted away
            return [{} for _ in groups]

    def rows_of(self, writer: str, number: int) -> int | None:
        """How many rows a writer's segment had when it was sealed; None if it is not here.

        For nodes it may be fewer, because a deletion drops only some of the rows that it counts.
        That is safe: writing an update of a node once more changes nothing.
        """
        for each in self.segments:
            if each.key == (writer, number):
                return each.rows if self.is_of_nodes else each.rows + each.deleted
        return None

    def sound_names(self, group: int) -> tuple[list[str], Exception | None]:
        """The names of the readable columns of a row group, and the error of the others.

        Empty if ``_node`` can't be read: then the recorders of the rows are unknown.
        """
        names = [NODE, *self.file_columns.stored.values()]
        if not isinstance(damage := self._try(group, names), Exception):
            return names, None
        if isinstance(self._try(group, [NODE]), Exception):
            return [], damage
        parts = {name: self._try(group, [name]) for name in names}
        return [name for name in names if not isinstance(parts[name], Exception)], damage

    def _try(self, group: int, names: list[str]) -> pa.Table | Exception:
        """Some columns of a row group, or the error of reading any of them.

        Raises:
            FileNotFoundError: the file was compacted away.
        """
        try:
            return self._read(group, names)
        except FileNotFoundError:
            raise
        except UNREADABLE as error:
            blame_file(error)
            return error

    def is_sound(self, columns: Collection[Column]) -> bool:
        """Whether these columns and ``_node`` can be read with correct checksums; cached."""
        names = [NODE, *self.file_columns.names_storing(columns)]
        if wanted := set(names) - self._sound.keys():
            self._sound |= dict.fromkeys(wanted, self._can_read(wanted))
        return all(self._sound[name] for name in names)

    def _can_read(self, names: Collection[str]) -> bool:
        known_by_sums = [name for name in names if self.sums and self._is_plain(name)]
        others = [name for name in names if name not in known_by_sums]
        try:
            self._check_sums(known_by_sums)
            for group in range(len(self.group_rows)):
                if unread := [name for name in others if (group, name) not in self._checked]:
                    self._read(group, unread)
        except UNREADABLE as error:
            blame_file(error)
            return False
        return True

    def _is_plain(self, name: str) -> bool:
        """Whether any bytes are valid values of a column, so that its checksum proves all."""
        field = self.schema.field(name)
        return pa.types.is_primitive(field.type) and not (name == NODE and field.nullable)

    def _check_sums(self, names: Sequence[str]) -> None:
        """Verify the checksums of columns in all row groups, without decoding their values."""
        wanted = {(group, name) for group in range(len(self.group_rows)) for name in names}
        if self.sums is None or wanted <= self._checked:
            return
        with open_parquet(self._path, checksums=False) as file:
            for group in range(len(self.group_rows)):
                check_chunks(self._path, file.metadata, self.sums, group, self._places(names))
        self._checked |= wanted

    def _read(self, group: int, names: list[str]) -> pa.Table:
        """Some columns of a row group; checksums are verified once."""
        wanted = {(group, name) for name in names}
        is_new = not wanted <= self._checked
        with open_parquet(self._path, checksums=is_new and self.sums is None) as file:
            if is_new and self.sums is not None:
                check_chunks(self._path, file.metadata, self.sums, group, self._places(names))
            # Names with dots select nested columns, too: only keep the requested ones.
            found = file.read_row_group(group, columns=names, use_threads=False).select(names)
        if is_new:
            self._check(found)
            self._checked |= wanted
        return found

    def _places(self, names: Collection[str]) -> list[int]:
        """The places of columns in the file, which has two for a sparse one."""
        there = leaf_places(self.schema)
        return [at for name in names for at in there[name]]

    def _check(self, table: pa.Table) -> None:
        """Raise for contents that this library never writes."""
        table.validate(full=True)
        if NODE in table.column_names and table.column(NODE).null_count:
            message = "it has rows without a node"
            raise DamagedFileError(message)
        read = set(table.column_names)
        for column, name in self.file_columns.stored.items():
            if name in read:
                column.kind.check(table.column(name))

    def _moved(self, group: int, columns: Sequence[Column]) -> pa.Table | None:
        """The rows of a group, from the file that they were compacted into.

        Raises:
            DeletedError: some of them were deleted.
        """
        whole = self._find_successor(self)
        if whole is None:
            return None
        here = [column for column in columns if column in self.file_columns.stored]
        start = sum(self.group_rows[:group])
        stretches = self.stretches(start, start + self.group_rows[group])
        spans = Spans(whole, whole.places(stretches))
        found = [spans.stored(at, here) for at in range(len(spans.group_rows))]
        if not (pieces := [each for each in found if each is not None]):
            return None
        # A column has another name there if its own was in use.
        there = _joined(pieces).select([NODE, *names_of(whole.file_columns.stored, here)])
        return there.rename_columns([NODE, *names_of(self.file_columns.stored, here)])


def _nulls_in(group: pq.RowGroupMetaData, places: Mapping[Column, int]) -> dict[Column, int]:
    """The nulls in columns at places in a row group, where the footer has them."""
    found = {c: _nulls_of(c.kind, group.column(at), group.num_rows) for c, at in places.items()}
    return {column: nulls for column, nulls in found.items() if nulls is not None}


def _nulls_of(kind: Kind, chunk: pq.ColumnChunkMetaData, rows: int) -> int | None:
    if (statistics := chunk.statistics) is not None and statistics.has_null_count:
        return int(statistics.null_count)
    # Nested lists have no statistics; the elements of a missing array count as one.
    elements = math.prod(kind.shape) if isinstance(kind, ArrayKind) else 0
    return rows - (int(chunk.num_values) - rows) // (elements - 1) if elements > 1 else None


def _joined(pieces: Sequence[pa.Table]) -> pa.Table:
    """Concatenate tables with the same columns; a column that is lost in one is lost in all."""
    lost = {name for each in pieces for name in each.column_names if is_lost(each.column(name))}
    if lost:
        pieces = [_without_values(each, lost) for each in pieces]
    return pa.concat_tables(pieces)


def _without_values(table: pa.Table, names: Collection[str]) -> pa.Table:
    nothing = pa.nulls(table.num_rows)
    arrays = [nothing if n in names else table.column(n) for n in table.column_names]
    return pa.Table.from_arrays(arrays, names=table.column_names)


def node_ranges_in(footer: pq.FileMetaData) -> list[tuple[int, int]]:
    """The range of node ids of each row group, from its statistics; all ids without those."""
    groups = map(footer.row_group, range(footer.num_row_groups))
    return [_range_of(group.column(0).statistics) for group in groups]


def _range_of(statistics: pq.Statistics | None) -> tuple[int, int]:
    if statistics is None or not statistics.has_min_max:
        return _ALL_IDS
    return statistics.min, statistics.max


@contextmanager
def open_parquet(path: str | Path, *, checksums: bool = True) -> Iterator[pq.ParquetFile]:
    """Open a Parquet file whose pages are verified against their checksums when read.

    Raises:
        FileNotFoundError: it does not exist.
        DamagedFileError: it is not a regular file.
    """
    check_regular(path)
    # Opened here, because pyarrow's lookup of the file system takes a quarter of the time.
    with pa.OSFile(str(path)) as source:
        yield pq.ParquetFile(source, page_checksum_verification=checksums)
