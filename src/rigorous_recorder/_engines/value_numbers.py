"""Numbers for large values: a query groups by them, and reads each value once at its end."""

from __future__ import annotations

import math
from itertools import count
from typing import Any

from .._arrow import pa
from .._values.chunks import int64_array

__all__ = ["ValueNumbers"]


class ValueNumbers:
    """Numbers the values of one column, equal values alike; thread-safe.

    NaN equals NaN, as in SQL. A missing value has no number.
    """

    def __init__(self) -> None:
        self._next = count()
        self._known: dict[Any, int] = {}
        #: The values, by number.
        self.values: dict[int, Any] = {}
        self._type: pa.DataType | None = None

    def of(self, values: pa.Array) -> pa.Array:
        """The number of each value; int64, null if it is missing."""
        self._type = values.type
        if pa.types.is_nested(values.type):
            return pa.array(map(self._number, values.to_pylist()), pa.int64())
        found = values.dictionary_encode()
        numbers = pa.array(map(self._number, found.dictionary.to_pylist()), pa.int64())
        return numbers.take(found.indices)

    def table(self) -> pa.Table:
        """The distinct values so far as ``value``, with their numbers as ``number``."""
        values = pa.array(self.values.values(), self._type)
        return pa.table({"number": int64_array(self.values), "value": values})

    def _number(self, value: Any) -> int | None:
        if value is None:
            return None
        number = self._known.setdefault(_hashable(value), next(self._next))
        self.values.setdefault(number, value)
        return number


def _hashable(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(map(_hashable, value))
    return math.nan if isinstance(value, float) and math.isnan(value) else value
