"""Columns of keys, unpacked from the sparse columns of a file."""

from __future__ import annotations

from collections.abc import Sequence

from .._arrow import pa, pc
from .._live.column import NODE, Column
from .._values.chunks import one_array
from .._values.kinds import Kind
from .._values.sparse import unpacked
from .footer import FileColumns

__all__ = ["densified", "unpacked_columns"]


def densified(table: pa.Table, there: FileColumns, columns: Sequence[Column]) -> pa.Table:
    """The columns of a file under their names, from those that it stores.

    Args:
        table: the columns that store these, and perhaps ``_node``.
        there: the columns of the file.
        columns: which ones; the file has them.
    """
    arrays = list(unpacked_columns(table, there, columns).values())
    names = [there.names[column] for column in columns]
    if NODE in table.column_names:
        names, arrays = [NODE, *names], [table.column(NODE), *arrays]
    return pa.Table.from_arrays(arrays, names=names)


def unpacked_columns(
    table: pa.Table, there: FileColumns, columns: Sequence[Column]
) -> dict[Column, pa.Array]:
    """The same columns, each as one array."""
    found = _from_maps(table, there, columns)
    dense = {column for column in columns if column in there.stored}
    return {
        column: _value(table, there, column, found.get(column))
        if column in dense
        else found[column]
        for column in columns
    }


def _from_maps(
    table: pa.Table, there: FileColumns, columns: Sequence[Column]
) -> dict[Column, pa.Array]:
    by_kind: dict[Kind, list[Column]] = {}
    for column in columns:
        if column in there.sparse:
            by_kind.setdefault(column.kind, []).append(column)
    found: dict[Column, pa.Array] = {}
    for here in by_kind.values():
        whole = one_array(table.column(there.stored[there.sparse[here[0]]]))
        if pa.types.is_null(whole.type):  # it can't be read
            found |= dict.fromkeys(here, whole)
        else:
            keys = [str(column.key) for column in here]
            found |= zip(here, unpacked(whole, keys), strict=True)
    return found


def _value(
    table: pa.Table, there: FileColumns, column: Column, sparse: pa.Array | None
) -> pa.Array:
    """The values of a column that is stored; others of them are in a sparse one."""
    dense = one_array(table.column(there.stored[column]))
    if sparse is None or pa.types.is_null(dense.type):
        return dense
    if pa.types.is_null(sparse.type):
        return sparse
    return pc.coalesce(dense, sparse.cast(dense.type))
