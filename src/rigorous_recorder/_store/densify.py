"""Columns of keys, unpacked from the sparse columns of a file."""

from __future__ import annotations

from collections.abc import Sequence

from .._arrow import pa, pc
from .._live.column import NODE, Column
from .._values.chunks import one_array
from .._values.sparse import unpacked
from .footer import FileColumns

__all__ = ["densified"]


def densified(table: pa.Table, there: FileColumns, columns: Sequence[Column]) -> pa.Table:
    """The columns of a file under their names, from those that it stores.

    Args:
        table: the columns that store these, and perhaps ``_node``.
        there: the columns of the file.
        columns: which ones; the file has them.
    """
    found = _unpacked(table, there, columns)
    names = [there.names[column] for column in columns]
    arrays = [_value(table, there, column, found.get(column)) for column in columns]
    if NODE in table.column_names:
        names, arrays = [NODE, *names], [table.column(NODE), *arrays]
    return pa.Table.from_arrays(arrays, names=names)


def _unpacked(
    table: pa.Table, there: FileColumns, columns: Sequence[Column]
) -> dict[Column, pa.Array]:
    by_map: dict[Column, list[Column]] = {}
    for column in columns:
        if column in there.sparse:
            by_map.setdefault(there.sparse[column], []).append(column)
    found: dict[Column, pa.Array] = {}
    for maps, here in by_map.items():
        whole = one_array(table.column(there.stored[maps]))
        if pa.types.is_null(whole.type):  # it can't be read
            found |= dict.fromkeys(here, whole)
        else:
            keys = [str(column.key) for column in here]
            found |= zip(here, unpacked(whole, keys), strict=True)
    return found


def _value(
    table: pa.Table, there: FileColumns, column: Column, sparse: pa.Array | None
) -> pa.ChunkedArray:
    """A column's values, each of which is in the dense or in the sparse one."""
    if column not in there.stored:
        return pa.chunked_array([sparse])
    dense = table.column(there.stored[column])
    if sparse is None or pa.types.is_null(dense.type):
        return dense
    if pa.types.is_null(sparse.type):
        return pa.chunked_array([sparse])
    return pc.coalesce(dense, sparse.cast(dense.type))
