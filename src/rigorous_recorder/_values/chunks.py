"""Columns of tables as single arrays, and the sizes of their values."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from typing import Final

from .._arrow import pa, pc

__all__ = ["bool_scalar", "byte_sizes", "int64_array", "int64_scalar", "null_scalar", "one_array"]

#: Size of an offset in text and list columns, in bytes.
_OFFSET: Final = 4


# pyarrow imports pandas, where it is installed, to convert a value of Python's: that takes longer than
# all else that a small experiment does. What every process does that logs converts none.


def int64_array(values: Iterable[int]) -> pa.Array:
    """Ints as an array."""
    data = array("q", values)
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def int64_scalar(value: int) -> pa.Scalar:
    """An int of an array."""
    return int64_array((value,))[0]


def bool_scalar(*, value: bool) -> pa.Scalar:
    """A bool of an array."""
    return pa.Array.from_buffers(pa.bool_(), 1, [None, pa.py_buffer(bytes([value]))])[0]


def null_scalar(kind: pa.DataType) -> pa.Scalar:
    """The null of an array of this type."""
    return pa.nulls(1, kind)[0]


def one_array(column: pa.ChunkedArray) -> pa.Array:
    """A column of a table as one array; unlike ``combine_chunks``, a single chunk is not copied."""
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def byte_sizes(values: pa.Array) -> pa.Array:
    """The approximate size of each value in bytes; int64, null for null."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return pc.add(pc.binary_length(values).cast(pa.int64()), _OFFSET)
    if pa.types.is_list(kind):
        of_one = values.values.nbytes // max(1, len(values.values))
        lengths = pc.list_value_length(values).cast(pa.int64())
        return pc.add(pc.multiply(lengths, of_one), _OFFSET)
    each = values.nbytes // max(1, len(values)) + 1
    return pc.if_else(values.is_valid(), pa.scalar(each, pa.int64()), pa.scalar(None, pa.int64()))
