"""Updates: the rows of the nodes table in order of time, and the rows of each node."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Final, NamedTuple, TypeAlias

from .._arrow import pa, pc
from .._live.column import NODE, TIME_COLUMN, Column
from .._once import once
from .._store.fragments import Fragment, is_lost
from .._values.chunks import (
    bool_scalar,
    byte_sizes,
    count_to,
    int64_array,
    int64_scalar,
    is_consecutive,
    is_sorted,
    null_scalar,
    one_array,
)
from .._values.sparse import SparseKind
from .cells import Cells, cells_in, joined
from .unread import UnreadTable

__all__ = ["Chosen", "Updates", "UpdatesByNode"]

_Stored: TypeAlias = "pa.Table | UnreadTable"

#: The latest possible time.
_LATEST: Final = 2**63 - 1


class Chosen(NamedTuple):
    """Some updates.

    Attributes:
        rows: their rows, in order.
        mask: for each row whether it is one of them.
    """

    rows: pa.Array
    mask: pa.Array


class Updates:
    """Updates of attributes: rows of the nodes table, concatenated, in order of time.

    The values of a key in sparse columns cost for the rows that have one, those of a column of its own
    for all rows.

    Args:
        pieces: tables of all rows as they are stored, each with its fragment.
        gone: nodes that have no rows among these.

    Attributes:
        order: for each update its row in the pieces; None if all are there, and in order.
        node: the node of each update.
        last_time: the time of the latest one, in microseconds since the epoch.
    """

    order: pa.Array | None
    last_time: int
    _unsure: pa.Array | None

    def __init__(self, pieces: Sequence[tuple[Fragment, _Stored]], gone: pa.Array | None) -> None:
        self._begin(pieces)
        nodes = [one_array(table.column(NODE)) for _, table in self.pieces]
        self.node = pa.concat_arrays([int64_array([]), *nodes])
        self._unsure = self._without_place_in_time(nodes) if self.has_lost else None
        times = self[TIME_COLUMN].cast(pa.int64())
        self.last_time = pc.max(times).as_py() or 0
        times = times.fill_null(
            int64_scalar(_LATEST)
        )  # what may be the latest value is taken for it
        if not is_sorted(times):
            self.order = pc.sort_indices(times)
        if gone is not None:
            order = count_to(len(times)) if self.order is None else self.order
            is_gone = pc.is_in(self.node, value_set=gone)
            self.order = order.filter(pc.invert(is_gone.take(order)))
        if self.order is not None:
            self.node = self.node.take(self.order)
            self._columns.clear()

    @classmethod
    def in_order(
        cls,
        pieces: Sequence[tuple[Fragment, _Stored]],
        node: pa.Array,
        order: pa.Array | None,
        last_time: int,
    ) -> Updates:
        """The same where the order is known, without reading any column."""
        found = cls.__new__(cls)
        found._begin(pieces)
        found.node, found.order, found.last_time = node, order, last_time
        return found

    def _begin(self, pieces: Sequence[tuple[Fragment, _Stored]]) -> None:
        self.pieces = pieces
        self.order = None
        self.last_time = 0
        self._columns: dict[Column, pa.Array] = {}
        self._found: dict[Column, Cells] = {}
        self._unsure = None
        tables = [table for _, table in pieces]
        self._unread = [each for each in tables if isinstance(each, UnreadTable)]
        read = [each for each in tables if not isinstance(each, UnreadTable)]
        self._has_lost = any(pa.null() in table.schema.types for table in read)

    @property
    def has_lost(self) -> bool:
        """Whether some values can't be read, as far as columns were read."""
        return self._has_lost or any(table.has_lost for table in self._unread)

    def _without_place_in_time(self, nodes: Sequence[pa.Array]) -> pa.Array | None:
        """Rows whose order among others of the same node is unknown; None if there are none.

        Their times can't be read, and the node has rows in other pieces.
        """
        is_lost_in = [_is_lost_in(*each, TIME_COLUMN) for each in self.pieces]
        if not any(is_lost_in):
            return None
        found = pc.value_counts(pa.concat_arrays([pc.unique(each) for each in nodes]))
        several = found.field("values").filter(pc.greater(found.field("counts"), int64_scalar(1)))
        return pc.and_(self._of_pieces(is_lost_in), pc.is_in(self.node, value_set=several))

    def _of_pieces(self, flags: Sequence[bool]) -> pa.Array:
        """For each row the flag of its piece."""
        pairs = zip(flags, self.pieces, strict=True)
        return pa.concat_arrays(
            [pa.repeat(bool_scalar(value=f), t.num_rows) for f, (_, t) in pairs]
        )

    def setting(self, columns: Sequence[Column], some: Chosen | None = None) -> pa.Array:
        """The rows, of some or of all, that set the key of these columns, in order.

        Includes those that can't be read: then the value is unknown, and neither former nor inherited
        values replace it.
        """
        cells = [self._cells_of(column) for column in columns]
        sparse = [each.rows for each in cells if each is not None]
        if len(sparse) == len(columns):
            rows = sparse[0] if len(sparse) == 1 else _sorted_union(sparse)
            return rows if some is None else rows.filter(some.mask.take(rows))
        is_set = self._is_set(columns)
        if some is not None:
            return some.rows.filter(is_set.take(some.rows))
        return pc.indices_nonzero(is_set).cast(pa.int64())

    def first_setting(self, columns: Sequence[Column]) -> int:
        """The first row that sets the key of these columns; the number of rows if none does."""
        rows = self.setting(columns)
        return rows[0].as_py() if len(rows) else len(self.node)

    def _is_set(self, columns: Sequence[Column]) -> pa.Array:
        """Which rows set the key of these columns."""
        found = None
        for column in columns:
            is_valid = self._validity(column)
            if self.has_lost:
                is_valid = pc.or_(is_valid, self._lost(column))
            found = is_valid if found is None else pc.or_(found, is_valid)
        return found

    def values(self, column: Column, rows: pa.Array) -> pa.Array:
        """The value of each of some rows in the sealed type; null if it has none."""
        cells = self._cells_of(column)
        return self[column].take(rows) if cells is None else cells.at(rows)

    def sizes(self, column: Column, rows: pa.Array) -> pa.Array:
        """The approximate size in bytes of each of these values; null for null."""
        cells = self._cells_of(column)
        if cells is None:
            return byte_sizes(self[column]).take(rows)
        return Cells(cells.rows, byte_sizes(cells.values)).at(rows)

    def present(self, column: Column) -> pa.Array:
        """All values of a column in order, perhaps with nulls in between."""
        cells = self._cells_of(column)
        return self[column] if cells is None else cells.values

    def _cells_of(self, column: Column) -> Cells | None:
        """The values of a column that is in sparse ones only; None for others."""
        if column in self._dense or column not in self._sparse or self.has_lost:
            return None
        if column not in self._found:
            found = joined(self._sparse[column], column.kind.sealed_type)
            self._found[column] = found if self.order is None else found.moved(self._places)
        return self._found[column]

    @property
    def is_sparse(self) -> bool:
        """Whether any value is in a sparse column."""
        return any(isinstance(column.kind, SparseKind) for column in self._dense)

    @once
    def _dense(self) -> set[Column]:
        """The columns that have a column of their own in any piece."""
        return {column for stored in self._stored for column in stored}

    @once
    def _stored(self) -> list[Mapping[Column, str]]:
        """The columns of files, each with its name there; many files have the same."""
        each = {id(fragment.file_columns): fragment.file_columns for fragment, _ in self.pieces}
        return [columns.stored for columns in each.values()]

    @once
    def _sparse(self) -> dict[Column, list[Cells]]:
        """The values in sparse columns, piece by piece, with the numbers of rows before the order."""
        found: dict[Column, list[Cells]] = {}
        starts = accumulate((table.num_rows for _, table in self.pieces), initial=0)
        for first, (fragment, table) in zip(starts, self.pieces, strict=False):
            for maps, name in fragment.file_columns.stored.items():
                if isinstance(maps.kind, SparseKind) and not is_lost(table.column(name)):
                    for key, cells in cells_in(one_array(table.column(name)), first):
                        found.setdefault(Column(sys.intern(key), maps.kind.kind), []).append(cells)
        return found

    @once
    def _places(self) -> pa.Array:
        """For each row before the order its place in it; null if it is left out."""
        order = int64_array([]) if self.order is None else self.order.cast(pa.int64())
        rows = sum(table.num_rows for _, table in self.pieces)
        # The function has no option for the length of the result, which is that of its argument.
        padded = pa.concat_arrays([order, pa.nulls(rows - len(order), pa.int64())])
        return pc.inverse_permutation(padded).cast(pa.int64())

    def _lost(self, column: Column) -> pa.Array:
        """Which rows may have had a value in a column that can't be read."""
        lost = self._of_pieces([_is_lost_in(*each, column) for each in self.pieces])
        if self._unsure is not None:
            is_there = self._of_pieces([column in fragment.columns for fragment, _ in self.pieces])
            lost = pc.or_(lost, pc.and_(self._unsure, is_there))
        return lost if self.order is None else lost.take(self.order)

    def _validity(self, column: Column) -> pa.Array:
        """Which rows have a value in a column; of a single piece no value is converted for that."""
        if column in self._columns or len(self.pieces) != 1:
            return self[column].is_valid()
        ((fragment, table),) = self.pieces
        there = fragment.file_columns
        if column not in there.stored or column in there.sparse:
            return self[column].is_valid()
        found = table.column(there.stored[column]).is_valid().combine_chunks()
        return found if self.order is None else found.take(self.order)

    def __getitem__(self, column: Column) -> pa.Array:
        """The values of a column in its sealed type; null in rows without one."""
        if column not in self._columns:
            pieces = [_stored_in(table, fragment, column) for fragment, table in self.pieces]
            if len(pieces) == 1:
                (values,) = pieces
            else:
                values = pa.concat_arrays([pa.nulls(0, column.kind.sealed_type), *pieces])
            if any(column in fragment.file_columns.sparse for fragment, _ in self.pieces):
                sparse = joined(self._sparse.get(column, []), column.kind.sealed_type)
                values = pc.coalesce(values, sparse.at(count_to(len(values))))
            if self._unsure is not None:
                values = pc.if_else(self._unsure, null_scalar(values.type), values)
            self._columns[column] = values if self.order is None else values.take(self.order)
        return self._columns[column]


def _stored_in(table: _Stored, fragment: Fragment, column: Column) -> pa.Array:
    """The values of a piece in a column of its own, in its sealed type; nulls if there is none."""
    name = fragment.file_columns.stored.get(column)
    if name is None or is_lost(stored := table.column(name)):
        return pa.nulls(table.num_rows, column.kind.sealed_type)
    return column.kind.from_storage(one_array(stored))


def _sorted_union(rows: Sequence[pa.Array]) -> pa.Array:
    found = pc.unique(pa.concat_arrays([int64_array([]), *rows]))
    return found.take(pc.sort_indices(found))


def _is_lost_in(fragment: Fragment, table: _Stored, column: Column) -> bool:
    """Whether values of a column can't be read, in one of its own or in a sparse one."""
    there = fragment.file_columns
    names = (there.stored.get(each) for each in (column, there.sparse.get(column)) if each)
    return any(name is not None and is_lost(table.column(name)) for name in names)


class UpdatesByNode:
    """Which updates are of which node.

    Attributes:
        of_row: for each row the position of its node.
    """

    def __init__(self, of_row: pa.Array, nodes: int) -> None:
        self.of_row = of_row
        self._nodes = nodes

    def moved(self, places: pa.Array) -> UpdatesByNode:
        """The same with nodes at other positions."""
        return UpdatesByNode(places.take(self.of_row), self._nodes)

    def last(self, rows: pa.Array) -> pa.Array:
        """For each node, the last of its rows among some, which are in order; null without one."""
        if not self._nodes:
            return rows
        places = self.of_row.take(rows)
        if is_consecutive(places):  # of a level of recorders that each have the key from the start
            first = places[0].as_py()
            rest = self._nodes - first - len(rows)
            return pa.concat_arrays([pa.nulls(first, rows.type), rows, pa.nulls(rest, rows.type)])
        found = _last_places(places, self._nodes)
        is_set = pc.greater_equal(found, int64_scalar(0))
        return rows.take(pc.if_else(is_set, found, null_scalar(pa.int64())))

    def last_of_each(self, rows: pa.Array) -> pa.Array:
        """Of some rows, which are in order, the last of each of their nodes."""
        nodes = self.of_row.take(rows).dictionary_encode()
        return rows.take(_last_places(nodes.indices.cast(pa.int64()), len(nodes.dictionary)))

    def nodes_of(self, rows: pa.Array) -> pa.Array:
        """The nodes of some rows."""
        return self.of_row.take(rows)

    def rows_of(self, nodes: pa.Array) -> Chosen:
        """The rows of some nodes, in order of time."""
        mask = pc.is_in(self.of_row, value_set=nodes.cast(pa.int64()))
        return Chosen(pc.indices_nonzero(mask).cast(pa.int64()), mask)


def _last_places(numbers: pa.Array, count: int) -> pa.Array:
    """The last place of each number below ``count``, which is positive; negative if there is none."""
    # Each number occurs once in front, so that none is too high, for versions of pyarrow that have
    # no option for the highest.
    places = pc.inverse_permutation(pa.concat_arrays([count_to(count), numbers]))
    return pc.subtract(places.slice(0, count), int64_scalar(count))
