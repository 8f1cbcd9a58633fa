"""Columns of tables as single arrays, and the sizes of their values."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from typing import Any, Final

from .._arrow import pa, pc

__all__ = [
    "bool_scalar",
    "byte_sizes",
    "count_to",
    "int64_array",
    "int64_scalar",
    "is_consecutive",
    "is_sorted",
    "most_bytes",
    "no_rows",
    "null_scalar",
    "one_array",
    "run_end_encoded",
    "scalar",
    "sorted_ids",
    "text_array",
]

#: Size of an offset in text and list columns, in bytes.
_OFFSET: Final = 4


# pyarrow imports pandas, where it is installed, to convert a value of Python's: that takes longer than
# all else that a small experiment or a first query does. What logs or queries converts none.


def int64_array(values: Iterable[int]) -> pa.Array:
    """Ints as an array."""
    data = array("q", values)
    if not data:  # it has no memory, of whose address Arrow would complain on standard error
        return pa.nulls(0, pa.int64())
    return pa.Array.from_buffers(pa.int64(), len(data), [None, pa.py_buffer(data)])


def text_array(values: Sequence[str]) -> pa.Array:
    """Texts as an array."""
    encoded = [value.encode() for value in values]
    ends = array("i", accumulate(map(len, encoded), initial=0))
    buffers = [None, pa.py_buffer(ends), pa.py_buffer(b"".join(encoded))]
    return pa.Array.from_buffers(pa.string(), len(encoded), buffers)


def count_to(stop: int) -> pa.Array:
    """The numbers from 0 up to ``stop``, int64."""
    return pc.indices_nonzero(pa.repeat(bool_scalar(value=True), stop)).cast(pa.int64())


def int64_scalar(value: int) -> pa.Scalar:
    """An int of an array."""
    return int64_array((value,))[0]


def scalar(value: Any, kind: pa.DataType) -> pa.Scalar:
    """A value as one of an array of this type."""
    if type(value) is int and kind == pa.int64() and -(2**63) <= value < 2**63:
        return int64_scalar(value)
    if type(value) is float and kind == pa.float64():
        return _first(kind, array("d", (value,)))
    if type(value) is bool and kind == pa.bool_():
        return bool_scalar(value=value)
    if type(value) is str and kind == pa.string():
        data = value.encode()
        return _first(kind, array("i", (0, len(data))), data)
    if type(value) is bytes and kind == pa.binary(len(value)):
        return _first(kind, value)
    return pa.scalar(value, kind)


def _first(kind: pa.DataType, *buffers: Any) -> pa.Scalar:
    return pa.Array.from_buffers(kind, 1, [None, *map(pa.py_buffer, buffers)])[0]


def bool_scalar(*, value: bool) -> pa.Scalar:
    """A bool of an array."""
    return _first(pa.bool_(), bytes([value]))


def null_scalar(kind: pa.DataType) -> pa.Scalar:
    """The null of an array of this type."""
    return pa.nulls(1, kind)[0]


def no_rows(schema: pa.Schema) -> pa.Table:
    """A table without rows."""
    return pa.Table.from_arrays([pa.nulls(0, each.type) for each in schema], schema=schema)


def run_end_encoded(ends: pa.Array, values: pa.Array) -> pa.RunEndEncodedArray:
    """Values that are each repeated up to the end of their run."""
    kind = pa.run_end_encoded(ends.type, values.type)
    rows = ends[-1].as_py() if len(ends) else 0
    return pa.RunEndEncodedArray.from_buffers(kind, rows, [None], 0, 0, [ends, values])


def one_array(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """A column of a table as one array; unlike ``combine_chunks``, a single chunk is not copied."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def is_sorted(values: pa.Array) -> bool:
    """Whether each value is at least the one before it, and none is null."""
    return _is_ordered(pc.less_equal, values)


def _is_ordered(is_before: Callable[..., pa.Array], values: pa.Array) -> bool:
    if len(values) < 2:
        return not values.null_count
    steps = is_before(values.slice(0, len(values) - 1), values.slice(1))
    return bool(pc.all(steps, skip_nulls=False).as_py())


def is_consecutive(numbers: pa.Array) -> bool:
    """Whether each number is one more than the one before it; there is at least one."""
    return (
        len(numbers) > 0
        and numbers[-1].as_py() - numbers[0].as_py() == len(numbers) - 1
        and _is_ordered(pc.less, numbers)
    )


def sorted_ids(parts: Iterable[pa.Array]) -> pa.Array:
    """Ids in order, each once; most often they already are."""
    ids = pa.concat_arrays([int64_array([]), *parts])
    if _is_ordered(pc.less, ids):
        return ids
    if is_sorted(ids):
        return pc.run_end_encode(ids).values
    ids = pc.unique(ids)
    return ids.take(pc.sort_indices(ids))


def most_bytes(values: pa.Array) -> int:
    """The highest of ``byte_sizes``; 0 if all are null."""
    kind = values.type
    if values.null_count == len(values):
        return 0
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return int(pc.max(pc.binary_length(values)).as_py()) + _OFFSET
    if pa.types.is_list(kind):
        return int(pc.max(byte_sizes(values)).as_py())
    return int(values.nbytes // len(values) + 1)


def byte_sizes(values: pa.Array) -> pa.Array:
    """The approximate size of each value in bytes; int64, null for null."""
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_binary(kind):
        return pc.add(pc.binary_length(values).cast(pa.int64()), int64_scalar(_OFFSET))
    if pa.types.is_list(kind):
        of_one = values.values.nbytes // max(1, len(values.values))
        lengths = pc.list_value_length(values).cast(pa.int64())
        return pc.add(pc.multiply(lengths, int64_scalar(of_one)), int64_scalar(_OFFSET))
    each = values.nbytes // max(1, len(values)) + 1
    return pc.if_else(values.is_valid(), int64_scalar(each), null_scalar(pa.int64()))
