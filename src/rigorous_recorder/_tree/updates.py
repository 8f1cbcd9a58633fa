"""Updates: the rows of the nodes table in order of time, and the rows of each node."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from .._arrow import pa, pc
from .._live.column import NODE, TIME_COLUMN, Column
from .._store.fragments import Fragment, is_lost
from .._values.chunks import (
    bool_scalar,
    count_to,
    int64_array,
    int64_scalar,
    null_scalar,
    one_array,
)
from .columns import column_in

__all__ = ["Updates", "UpdatesByNode"]

#: The latest possible time.
_LATEST: Final = 2**63 - 1


class Updates:
    """Updates of attributes: rows of the nodes table, concatenated, in order of time.

    Args:
        pieces: tables of all rows, each with its fragment.
        gone: nodes that have no rows among these.
    """

    def __init__(self, pieces: Sequence[tuple[Fragment, pa.Table]], gone: pa.Array | None) -> None:
        self.pieces = pieces
        self._columns: dict[Column, pa.Array] = {}
        self._order: pa.Array | None = None
        nodes = [one_array(table.column(NODE)) for _, table in self.pieces]
        #: The node of each row.
        self.node = pa.concat_arrays([int64_array([]), *nodes])
        self._has_lost = any(pa.null() in table.schema.types for _, table in self.pieces)
        self._unsure = self._without_place_in_time(nodes) if self._has_lost else None
        times = self[TIME_COLUMN].cast(pa.int64())
        self.last_time: int = pc.max(times).as_py() or 0
        times = times.fill_null(
            int64_scalar(_LATEST)
        )  # what may be the latest value is taken for it
        if not _is_sorted(times):
            self._order = pc.sort_indices(times)
        if gone is not None:
            order = count_to(len(times)) if self._order is None else self._order
            is_gone = pc.is_in(self.node, value_set=gone)
            self._order = order.filter(pc.invert(is_gone.take(order)))
        if self._order is not None:
            self.node = self.node.take(self._order)
            self._columns.clear()

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

    def is_set(self, columns: Sequence[Column]) -> pa.Array:
        """Which rows set the key of these columns.

        Includes those that can't be read: then the value is unknown, and neither former nor inherited
        values replace it.
        """
        found = None
        for column in columns:
            is_valid = self._validity(column)
            if self._has_lost:
                is_valid = pc.or_(is_valid, self._lost(column))
            found = is_valid if found is None else pc.or_(found, is_valid)
        return pa.repeat(bool_scalar(value=False), len(self.node)) if found is None else found

    def setting(self, columns: Sequence[Column], rows: pa.Array | None = None) -> pa.Array:
        """Those of some rows, or of all, that set the key of these columns, in order."""
        is_set = self.is_set(columns)
        if rows is None:
            return pc.indices_nonzero(is_set).cast(pa.int64())
        return rows.filter(is_set.take(rows))

    def _lost(self, column: Column) -> pa.Array:
        """Which rows may have had a value in a column that can't be read."""
        lost = self._of_pieces([_is_lost_in(*each, column) for each in self.pieces])
        if self._unsure is not None:
            is_there = self._of_pieces([column in fragment.columns for fragment, _ in self.pieces])
            lost = pc.or_(lost, pc.and_(self._unsure, is_there))
        return lost if self._order is None else lost.take(self._order)

    def _validity(self, column: Column) -> pa.Array:
        """Which rows have a value in a column; of a single piece no value is converted for that."""
        if column in self._columns or len(self.pieces) != 1:
            return self[column].is_valid()
        ((fragment, table),) = self.pieces
        if column not in fragment.columns:
            return self[column].is_valid()
        found = table.column(fragment.columns[column]).is_valid().combine_chunks()
        return found if self._order is None else found.take(self._order)

    def __getitem__(self, column: Column) -> pa.Array:
        """The values of a column in its sealed type; null in rows without one."""
        if column not in self._columns:
            pieces = [column_in(table, fragment, column) for fragment, table in self.pieces]
            if len(pieces) == 1:
                (values,) = pieces
            else:
                values = pa.concat_arrays([pa.nulls(0, column.kind.sealed_type), *pieces])
            if self._unsure is not None:
                values = pc.if_else(self._unsure, null_scalar(values.type), values)
            self._columns[column] = values if self._order is None else values.take(self._order)
        return self._columns[column]


def _is_lost_in(fragment: Fragment, table: pa.Table, column: Column) -> bool:
    name = fragment.columns.get(column)
    return name is not None and is_lost(table.column(name))


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

    def last(self, mask: pa.Array) -> pa.Array:
        """For each node, the last of its rows selected by the mask; null if there is none."""
        rows = pc.indices_nonzero(mask).cast(pa.int64())
        if not self._nodes:
            return rows
        # Of several rows of a node, the last stays. Each node occurs once before the rows, so that
        # none is too high, for versions of pyarrow that have no option for the highest.
        places = pa.concat_arrays([count_to(self._nodes), self.of_row.take(rows)])
        found = pc.subtract(
            pc.inverse_permutation(places).slice(0, self._nodes), int64_scalar(self._nodes)
        )
        is_set = pc.greater_equal(found, int64_scalar(0))
        return rows.take(pc.if_else(is_set, found, null_scalar(pa.int64())))

    def nodes_of(self, rows: pa.Array) -> pa.Array:
        """The nodes of some rows."""
        return self.of_row.take(rows)

    def rows_of(self, nodes: pa.Array) -> pa.Array:
        """The rows of some nodes, in order of time."""
        mask = pc.is_in(self.of_row, value_set=nodes.cast(pa.int64()))
        return pc.indices_nonzero(mask).cast(pa.int64())


def _is_sorted(values: pa.Array) -> bool:
    if len(values) < 2:
        return True
    steps = pc.less_equal(values.slice(0, len(values) - 1), values.slice(1))
    return bool(pc.all(steps, skip_nulls=False).as_py())
