"""Encodings of Parquet columns, chosen by kind and sample; measured in docs/benchmarks.md.

A dictionary is small if values repeat, and a waste if they don't: 8.5 bytes for a random double that
BYTE_STREAM_SPLIT stores in 6.9, but 0.35 for one of five rewards instead of 0.63.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Final

from .._arrow import pa
from .._values.sparse import values_of
from .leaves import Leaf, leaves_of

__all__ = ["PLAIN_FLOATS", "Encodings"]

#: The encoding of floats without a dictionary.
PLAIN_FLOATS: Final = "BYTE_STREAM_SPLIT"

#: The sample: this many slices of this many contiguous rows, spread over the table.
_SLICES: Final = 8
_SLICE_ROWS: Final = 512
#: A dictionary is used if more than this share of a sample occurred in it before.
_REPEATED_SHARE: Final = 0.05


class Encodings:
    """The encodings of the columns in a writer's files.

    A column is sampled again after twice as many files as the last time: its values rarely change,
    and sampling costs as much as a part of writing.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], tuple[str | None, int]] = {}
        self._files = 0

    def of(self, table: pa.Table) -> dict[str, str | None]:
        """The encoding of each column of the file, by path; None for a dictionary."""
        self._files += 1
        found: dict[str, str | None] = {}
        for field, column in zip(table.schema, table.columns, strict=True):
            if pa.types.is_map(field.type):
                key, value = leaves_of(field)
                values = pa.chunked_array(map(values_of, column.chunks), value.kind)
                found |= {key.path: None, value.path: self._of(value, values)}
            else:
                found[field.name] = self._of(Leaf(field.name, field.type), column)
        return found

    def _of(self, leaf: Leaf, column: pa.ChunkedArray) -> str | None:
        key = leaf.path, str(leaf.kind)
        encoding, good_until = self._known.get(key, (None, 0))
        if self._files > good_until:
            encoding = _encoding(leaf.kind, column)
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
    """Some non-null values, spread over the column."""
    rows = len(column)
    if rows <= _SLICES * _SLICE_ROWS:
        return _plain(column)
    step = (rows - _SLICE_ROWS) // (_SLICES - 1)
    return [v for i in range(_SLICES) for v in _plain(column.slice(i * step, _SLICE_ROWS))]


def _plain(column: pa.ChunkedArray) -> list[Any]:
    """The non-null values: text, or 64 bits each as an int.

    In plain Python: pyarrow releases the GIL, and next to a busy thread getting it back takes longer
    than this. Of times it would import pandas.
    """
    found: list[Any] = []
    for each in column.chunks:
        is_text = pa.types.is_string(each.type)
        chunk = each if is_text else each.view(pa.int64())
        values = chunk.buffers()[1]
        if chunk.null_count or is_text or values is None:
            found += [value for value in chunk.to_pylist() if value is not None]
        else:
            start = 8 * chunk.offset  # the buffer can end with a part of 8 bytes
            found += memoryview(values).cast("B")[start : start + 8 * len(chunk)].cast("q")
    return found


def _changes(numbers: list[Any]) -> list[Any]:
    """The numbers that differ from their predecessor: zstd handles runs itself."""
    return [after for before, after in pairwise(numbers) if after != before]


def _repeats(values: list[Any]) -> bool:
    return len(values) - len(set(values)) > _REPEATED_SHARE * len(values)
