"""Reads arrays of numbers in NumPy's ``.npz`` files by hand: nothing in them is unpickled."""

from __future__ import annotations

import ast
import struct
from math import prod
from pathlib import Path
from typing import Any, Final

from .archive import member, opened_zip
from .contract import Report
from .files import NUMPY_CODES

__all__ = ["arrays_of"]

_MAGIC: Final = b"\x93NUMPY"
#: A description of an array is not longer, and no array has more numbers.
_LONGEST: Final = 1 << 12
_MOST: Final = 1 << 22
_ERRORS: Final = (
    ValueError, LookupError, TypeError, SyntaxError, struct.error, RecursionError, MemoryError,
)  # fmt: skip


def arrays_of(path: Path, names: tuple[str, ...], report: Report) -> dict[str, list[Any]]:
    """The arrays of these names, of one or two dimensions, as lists; those that can't be read are reported."""
    found: dict[str, list[Any]] = {}
    with opened_zip(path, report) as archive:
        if archive is None:
            return found
        for name in names:
            data = member(archive, f"{name}.npy", path, report)
            try:
                if data is not None:
                    found[name] = _array(data)
            except _ERRORS:
                report.add(path, "arrays that are not of numbers, or not valid: not taken")
    return found


def _array(data: bytes) -> list[Any]:
    """The rows of an array.

    Raises:
        ValueError, LookupError, TypeError, SyntaxError, struct.error: it is not one of numbers.
    """
    is_long = data[6:7] > b"\x01"
    begin = 12 if is_long else 10
    size = int.from_bytes(data[8:begin], "little")
    if not data.startswith(_MAGIC) or size > _LONGEST:
        message = "not an array"
        raise ValueError(message)
    about = ast.literal_eval(data[begin : begin + size].decode("latin-1").strip())
    kind, shape = about["descr"], about["shape"]
    count = prod(shape)
    if not 1 <= len(shape) <= 2 or not 0 <= count <= _MOST or min(shape) < 0:
        message = "an array of another shape, or too large"
        raise ValueError(message)
    order = ">" if kind[0] == ">" else "<"
    found = struct.unpack_from(f"{order}{count}{NUMPY_CODES[kind[1:]]}", data, begin + size)
    if len(shape) == 1:
        return list(found)
    rows, width = shape
    if about["fortran_order"]:
        return [list(found[at::rows]) for at in range(rows)]
    return [list(found[at * width : (at + 1) * width]) for at in range(rows)]
