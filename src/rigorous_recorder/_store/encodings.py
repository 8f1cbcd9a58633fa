"""Encodings of Parquet columns, chosen by their kind and a sample; docs/benchmarks.md measures them.

A dictionary is small where values come back and a waste where they don't: 8.5 bytes for a random
double that BYTE_STREAM_SPLIT writes in 6.9, but 0.35 for one of five rewards against 0.63.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from .._arrow import pa

__all__ = ["PLAIN_FLOATS", "Encodings"]

#: The encoding of floats without a dictionary.
PLAIN_FLOATS: Final = "BYTE_STREAM_SPLIT"

#: The sample: so many slices of so many neighbouring rows, spread over the table.
_SLICES: Final = 8
_SLICE_ROWS: Final = 512
#: A dictionary is worth it where more than this share of a sample was in it before.
_REPEATED_SHARE: Final = 0.05


class Encodings:
    """The encodings of the columns of one writer's files.

    A column is looked at again after twice as many files as the last time: what it holds rarely
    changes, and a look costs as much as a part of the writing.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str | None, int]] = {}
        self._files = 0

    def of(self, table: pa.Table) -> dict[str, str | None]:
        """For each column the encoding of its values; None for a dictionary of them."""
        self._files += 1
        return {
            field.name: self._of(field, table.column(i)) for i, field in enumerate(table.schema)
        }

    def _of(self, field: pa.Field, column: pa.ChunkedArray) -> str | None:
        key = field.name, str(field.type)
        encoding, good_until = self._known.get(key, (None, 0))
        if self._files > good_until:
            encoding = _encoding(field.type, column)
            self._known[key] = encoding, 2 * self._files
        return encoding


def _encoding(kind: pa.DataType, column: pa.ChunkedArray) -> str | None:
    types = pa.types
    if types.is_string(kind):
        return None if _repeats(_sample(column)) else "DELTA_LENGTH_BYTE_ARRAY"
    if types.is_floating(kind):
        return None if _repeats(_changes(_sample(column))) else PLAIN_FLOATS
    if types.is_int64(kind) or types.is_timestamp(kind) or types.is_duration(kind):
        return None if _repeats(_changes(_sample(column))) else "DELTA_BINARY_PACKED"
    return "PLAIN" if types.is_boolean(kind) else None


def _sample(column: pa.ChunkedArray) -> list[Any]:
    """Some of the values that are there, spread over the column."""
    rows = len(column)
    if rows <= _SLICES * _SLICE_ROWS:
        return _plain(column)
    step = (rows - _SLICE_ROWS) // (_SLICES - 1)
    return [v for i in range(_SLICES) for v in _plain(column.slice(i * step, _SLICE_ROWS))]


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """The values that are there: text, or 64 bits each as an int.

    In plain Python: whoever asks pyarrow lets go of the interpreter, and waits for it longer than
    this takes, where another thread logs all the time.
    """
    found: list[Any] = []
    for chunk in column.chunks:
        values = chunk.buffers()[1]
        if chunk.null_count or pa.types.is_string(chunk.type) or values is None:
            found += [value for value in chunk.to_pylist() if value is not None]
        else:
            found += memoryview(values).cast("B").cast("q")[chunk.offset :][: len(chunk)]
    return found


def _changes(numbers: list[Any]) -> list[Any]:
    """The numbers that differ from the one before: zstd takes care of runs by itself."""
    return [after for before, after in pairwise(numbers) if after != before]


def _repeats(values: list[Any]) -> bool:
    return len(values) - len(set(values)) > _REPEATED_SHARE * len(values)
