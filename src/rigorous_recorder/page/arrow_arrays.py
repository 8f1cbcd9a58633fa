"""Arrays of Arrow as arrays of numpy, and back.

Arrow's own conversions import pandas, where it is installed, which takes longer than a first chart.
"""

from __future__ import annotations

from typing import Any

from .._arrow import pa
from .._lazy_imports import np

__all__ = ["arrow_of", "values_of"]


def values_of(column: pa.Array) -> Any:
    """The numbers or bools of an array, without copying numbers; any value where there is a null."""
    buffer, stop = column.buffers()[1], column.offset + len(column)
    if buffer is None or not len(column):
        return np.zeros(len(column), _type_of(column.type))
    if pa.types.is_boolean(column.type):
        bits = np.unpackbits(np.frombuffer(buffer, "u1"), count=stop, bitorder="little")
        return bits[column.offset :].astype(bool)
    return np.frombuffer(buffer, _type_of(column.type), stop)[column.offset :]


def _type_of(kind: pa.DataType) -> Any:
    is_floating = pa.types.is_floating(kind)
    if pa.types.is_boolean(kind):
        return np.bool_
    return np.dtype(f"{'f' if is_floating else _sign(kind)}{kind.bit_width // 8}")


def _sign(kind: pa.DataType) -> str:
    return "u" if pa.types.is_unsigned_integer(kind) else "i"


def arrow_of(values: Any) -> pa.Array:
    """Whole numbers as an array of int64."""
    if not len(values):
        return pa.nulls(0, pa.int64())
    found = np.ascontiguousarray(values, "i8")
    return pa.Array.from_buffers(pa.int64(), len(found), [None, pa.py_buffer(found)])
