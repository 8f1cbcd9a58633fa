"""Encodings of Parquet columns, chosen by their kind and a sample; docs/benchmarks.md measures them.

A dictionary is small where values come back and a waste where they don't: 8.5 bytes for a random
double that BYTE_STREAM_SPLIT writes in 6.9, but 0.35 for one of five rewards against 0.63.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from .._lazy import lazy_module

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["encodings_for"]

#: The sample: so many slices of so many neighbouring rows, spread over the table.
_SLICES: Final = 8
_SLICE_ROWS: Final = 512
#: A dictionary is worth it where more than this share of a sample was in it before.
_REPEATED_SHARE: Final = 0.05


def encodings_for(table: pa.Table) -> dict[str, str | None]:
    """For each column the encoding of its values; None for a dictionary of them."""
    sample = _sample(table)
    return {
        field.name: _encoding(field.type, sample.column(i)) for i, field in enumerate(table.schema)
    }


def _encoding(kind: pa.DataType, values: pa.Array) -> str | None:
    types = pa.types
    if types.is_string(kind):
        return None if _repeats(values.drop_null()) else "DELTA_LENGTH_BYTE_ARRAY"
    if types.is_floating(kind):
        return None if _repeats(_changes(values)) else "BYTE_STREAM_SPLIT"
    if types.is_int64(kind) or types.is_timestamp(kind) or types.is_duration(kind):
        return None if _repeats(_changes(values)) else "DELTA_BINARY_PACKED"
    return "PLAIN" if types.is_boolean(kind) else None


def _sample(table: pa.Table) -> pa.Table:
    rows = table.num_rows
    if rows <= _SLICES * _SLICE_ROWS:
        pieces = [table]
    else:
        step = (rows - _SLICE_ROWS) // (_SLICES - 1)
        pieces = [table.slice(i * step, _SLICE_ROWS) for i in range(_SLICES)]
    return pa.concat_tables(pieces).combine_chunks()


def _changes(numbers: pa.Array) -> pa.Array:
    """The numbers that differ from the one before: zstd takes care of runs by itself."""
    column = numbers.combine_chunks() if isinstance(numbers, pa.ChunkedArray) else numbers
    present = column.filter(pc.invert(column.is_null(nan_is_null=True)))
    return present.slice(1).filter(
        pc.not_equal(present.slice(1), present.slice(0, max(0, len(present) - 1)))
    )


def _repeats(values: pa.Array) -> bool:
    new: int = pc.count_distinct(values, mode="all").as_py()
    return len(values) - new > _REPEATED_SHARE * len(values)
