"""Sparse columns: each row has a map from the keys that it has to their values of one kind.

A record then costs for the keys that it has, and not for those that others have.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from .._arrow import pa, pc
from .chunks import bool_scalar, int64_array, int64_scalar, text_array
from .kinds import BOOL, FLOAT, INT, JSON, NULL, TEXT, DetailedKind, Kind

__all__ = [
    "SPARSE_KINDS",
    "Cells",
    "SparseKind",
    "are_among",
    "cell_counts",
    "cells_among",
    "keys_of",
    "unpacked",
    "values_of",
    "without_cells",
]

#: Values that are unpacked at once, at most, unless a single key has more.
_AT_ONCE: Final = 1 << 22
#: Bytes of a view of text.
_VIEW: Final = 16


class SparseKind(DetailedKind):
    """A map from keys to values of another kind.

    A row without values has an empty map. No map has nulls, or a key twice.
    """

    cell = "sparse"

    def __init__(self, name: str, kind: Kind) -> None:
        super().__init__(name)
        #: The kind of the values.
        self.kind: Final = kind

    @property
    def live_type(self) -> pa.DataType:
        return pa.map_(pa.string_view(), self.kind.live_type)

    @property
    def sealed_type(self) -> pa.DataType:
        return pa.map_(pa.dictionary(pa.int32(), pa.string()), self.kind.sealed_type)

    @property
    def file_types(self) -> tuple[pa.DataType, ...]:
        # Readers that restore no dictionary read the same as text.
        return self.sealed_type, pa.map_(pa.string(), self.kind.sealed_type)

    def seal(self, live: pa.Array) -> pa.Array:
        keys, values = _distinct(live.keys), self.kind.seal(live.items)
        return pa.MapArray.from_arrays(live.offsets, keys, values, self.sealed_type)

    def from_storage(self, stored: pa.Array) -> pa.Array:
        return stored

    def to_storage(self, column: pa.Array) -> pa.Array:
        if pa.types.is_dictionary(column.type.key_type):
            return column
        keys = column.keys.dictionary_encode()
        mask = column.is_null() if column.null_count else None
        return pa.MapArray.from_arrays(
            column.offsets, keys, column.items, self.sealed_type, mask=mask
        )

    def unreadable(self, column: pa.Array) -> list[int]:
        return self.kind.unreadable(values_of(column))


#: The kinds whose values can be in a sparse column, each with the kind of the map.
SPARSE_KINDS: Final[dict[Kind, SparseKind]] = {
    kind: SparseKind(f"sparse[{kind.name}]", kind) for kind in (FLOAT, INT, BOOL, NULL, TEXT, JSON)
}


def _distinct(views: pa.Array) -> pa.Array:
    """Text views as a dictionary; equal keys have equal views, so that no text is compared."""
    _, data, *texts = views.buffers()
    cells = pa.Array.from_buffers(pa.binary(_VIEW), len(views), [None, data], offset=views.offset)
    found = cells.dictionary_encode()
    _, each, *_ = found.dictionary.buffers()
    buffers = [None, each, *texts]
    known = pa.Array.from_buffers(pa.string_view(), len(found.dictionary), buffers)
    return pa.DictionaryArray.from_arrays(found.indices, known.cast(pa.string()))


def keys_of(maps: pa.Array | pa.ChunkedArray) -> list[str]:
    """The distinct keys of maps of the sealed type, in order of first occurrence."""
    chunks = maps.chunks if isinstance(maps, pa.ChunkedArray) else [maps]
    found = [pc.unique(_cells(each, each.keys)).to_pylist() for each in chunks]
    return list(dict.fromkeys(key for keys in found for key in keys))


def values_of(maps: pa.Array) -> pa.Array:
    """The values in maps, row by row."""
    return _cells(maps, maps.items)


def cell_counts(maps: pa.Array) -> pa.Array:
    """The number of keys in each map."""
    offsets = maps.offsets
    return pc.subtract(offsets.slice(1), offsets.slice(0, len(maps)))


def _cells(maps: pa.Array, each: pa.Array) -> pa.Array:
    """Those of the keys or values that are in a range of maps."""
    return pa.ListArray.from_arrays(maps.offsets, each).flatten()


class Cells(NamedTuple):
    """The values in maps, row by row.

    Attributes:
        ends: for each map where its values end.
        keys: the key of each value.
        values: the values.
    """

    ends: pa.Array
    keys: list[str]
    values: pa.Array


def cells_among(maps: pa.Array, keys: Sequence[str] | None) -> Cells:
    """The values of some keys in maps of the sealed type; of all keys by default."""
    found, values = _cells(maps, maps.keys), values_of(maps)
    ends = pc.cumulative_sum(cell_counts(maps))
    if keys is not None:
        stays = _places_among(keys, found).is_valid()
        found, values = found.filter(stays), values.filter(stays)
        ends = _counts_at(stays, ends)
    if pa.types.is_dictionary(found.type):  # each key is one object
        names = found.dictionary.to_pylist()
        return Cells(ends, [names[at] for at in found.indices.to_pylist()], values)
    return Cells(ends, found.to_pylist(), values)


def _counts_at(flags: pa.Array, ends: pa.Array) -> pa.Array:
    """How many of the flags are true before each of some positions."""
    start = int64_array([0]).cast(pa.int32())
    return pc.cumulative_sum(pa.concat_arrays([start, flags.cast(pa.int32())])).take(ends)


def without_cells(maps: pa.Array, places: Sequence[int]) -> pa.Array:
    """Maps without the values at some positions among all values."""
    stays = pc.invert(are_among(places, pc.sum(cell_counts(maps)).as_py() or 0))
    offsets = _counts_at(stays, pc.subtract(maps.offsets, maps.offsets[0]))
    keys, values = (_cells(maps, each).filter(stays) for each in (maps.keys, maps.items))
    return pa.MapArray.from_arrays(offsets, keys, values, maps.type)


def are_among(places: Sequence[int], count: int) -> pa.Array:
    """Which of the positions up to a number are among some."""
    return pc.is_in(pa.array(range(count), pa.int64()), value_set=pa.array(places, pa.int64()))


def unpacked(maps: pa.Array, keys: Sequence[str]) -> Iterator[pa.Array]:
    """For each key a column with its values in maps of the sealed type, null where it has none."""
    places = _places_among(keys, maps.keys)
    rows = pc.list_parent_indices(lists := pa.ListArray.from_arrays(maps.offsets, places))
    places, values = lists.flatten(), values_of(maps)
    step = max(1, _AT_ONCE // max(1, len(maps)))
    for first in range(0, len(keys), step):
        count = min(step, len(keys) - first)
        here = pc.subtract(places, int64_scalar(first))
        yield from _block(here, rows, values, count, len(maps))


def _places_among(wanted: Sequence[str], keys: pa.Array) -> pa.Array:
    """For each key its place among the wanted ones, null if it is not one of them."""
    texts = text_array(wanted)
    if not pa.types.is_dictionary(keys.type):
        return pc.index_in(keys, value_set=texts)
    return pc.index_in(keys.dictionary, value_set=texts).take(keys.indices)


def _block(
    places: pa.Array, rows: pa.Array, values: pa.Array, count: int, height: int
) -> Iterator[pa.Array]:
    """The columns of the keys with the places 0 to ``count``, as parts of one array."""
    size = count * height
    is_here = pc.and_(
        pc.greater_equal(places, int64_scalar(0)), pc.less(places, int64_scalar(count))
    )
    at = pc.indices_nonzero(pc.fill_null(is_here, bool_scalar(value=False))).cast(pa.int64())
    where = pc.add(pc.multiply(places.take(at), int64_scalar(height)), rows.take(at))
    # The function has no option for the length of the result, which is that of its argument.
    padding = pa.nulls(max(0, size - len(where)), pa.int64())
    order = pc.call_function("inverse_permutation", [pa.concat_arrays([where, padding])])
    found = values.take(at).take(order)
    for first in range(0, size, height or 1):
        yield found.slice(first, height)
    if not height:
        yield from [values.slice(0, 0)] * count
