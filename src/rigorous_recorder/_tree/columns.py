"""The values of a key, with a column for each of their kinds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from .._arrow import pa, pc
from .._live.column import Column, Key
from .._store.fragments import Fragment, is_lost
from .._values.chunks import bool_scalar, one_array

__all__ = [
    "ColumnsByKind",
    "any_valid",
    "by_key",
    "column_in",
    "in_sealed_type",
    "keys_of",
    "present_values_of",
    "values_of",
]

#: Of many columns it is found faster by place than by name.
_KEY: Final = itemgetter(Column._fields.index("key"))

ColumnsByKind = dict[Column, Any]
"""The values of a key: an array for each column; no row has a value in more than one."""


def column_in(table: pa.Table, fragment: Fragment, column: Column) -> pa.Array:
    """A column of a part of a fragment in its sealed type; nulls if it does not exist."""
    name = fragment.columns.get(column)
    if name is None:
        return pa.nulls(table.num_rows, column.kind.sealed_type)
    return in_sealed_type(column, table.column(name))


def in_sealed_type(column: Column, stored: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The values of a column of a file in its sealed type; nulls if they can't be read."""
    if is_lost(stored):
        return pa.nulls(len(stored), column.kind.sealed_type)
    return column.kind.from_storage(one_array(stored))


def keys_of(columns: Iterable[Column]) -> list[str]:
    """The distinct user keys of columns, in order."""
    return [key for key in dict.fromkeys(map(_KEY, columns)) if isinstance(key, str)]


def by_key(columns: Iterable[Column]) -> dict[Key, list[Column]]:
    """The columns of each key, in order."""
    found: dict[Key, list[Column]] = {}
    for column in columns:
        found.setdefault(column.key, []).append(column)
    return found


def values_of(by_kind: ColumnsByKind, rows: int) -> list[Any]:
    """The values of a key as Python objects, None if missing."""
    merged: list[Any] = [None] * rows
    for column, values in by_kind.items():
        if values.null_count == rows:
            continue
        found = column.kind.values(values)
        if values.null_count:
            found = [old if v is None else v for old, v in zip(merged, found, strict=True)]
        merged = found
    return merged


def present_values_of(by_kind: ColumnsByKind, rows: int) -> Sequence[Any]:
    """The same if no row lacks a value; numbers of a single kind as a view of memory."""
    found = [(column, values) for column, values in by_kind.items() if not values.null_count]
    if len(found) != 1:
        return values_of(by_kind, rows)
    ((column, values),) = found
    return column.kind.present_values(values)


def any_valid(by_kind: Mapping[Column, Any], rows: int) -> pa.Array:
    """Which rows have a value."""
    mask = pa.repeat(bool_scalar(value=False), rows)
    for values in by_kind.values():
        mask = pc.or_(mask, values.is_valid())
    return mask
