"""Conversion of the flat table's columns for DuckDB."""

from __future__ import annotations

from typing import Final

from .._arrow import pa, pc
from .._values.arrays import ArrayKind, dtype_of

__all__ = ["DAY", "MOST_MICROSECONDS", "for_duckdb"]

#: The most microseconds that fit into 64 bits as nanoseconds, and those of a day.
MOST_MICROSECONDS: Final = (2**63 - 1) // 1000
DAY: Final = 24 * 60 * 60 * 1_000_000


def for_duckdb(column: pa.Array) -> pa.Array:
    """A flat column in a type that DuckDB accepts: fixed-shape arrays as lists, float16 as float.

    Long durations are split into days: see ``_interval``.
    """
    if pa.types.is_duration(column.type):
        return _with_days(column)
    if not pa.types.is_fixed_size_list(column.type):
        wide = _without_float16(column.type)
        return column if wide == column.type else column.cast(wide)
    array = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
    shape, inner = [], array.type
    while pa.types.is_fixed_size_list(inner):
        shape.append(inner.list_size)
        inner = inner.value_type
    return for_duckdb(ArrayKind.of(dtype_of(inner), tuple(shape)).to_storage(array))


def _with_days(durations: pa.Array) -> pa.Array:
    """Durations, as intervals of days and nanoseconds if one is too long for nanoseconds."""
    ends = pc.min_max(durations.cast(pa.int64())).as_py()
    if all(abs(end) <= MOST_MICROSECONDS for end in ends.values() if end is not None):
        return durations
    values = [None if v is None else _days_and_rest(v) for v in _microseconds(durations)]
    return pa.array(values, pa.month_day_nano_interval())


def _microseconds(durations: pa.Array) -> list[int | None]:
    found: list[int | None] = durations.cast(pa.int64()).to_pylist()
    return found


def _days_and_rest(microseconds: int) -> pa.MonthDayNano:
    days = abs(microseconds) // DAY * (1 if microseconds > 0 else -1)
    return pa.MonthDayNano([0, days, 1000 * (microseconds - days * DAY)])


def _without_float16(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_list(kind):
        return pa.list_(_without_float16(kind.value_type))
    return pa.float32() if pa.types.is_float16(kind) else kind
