"""The values of keys in sparse columns, each without the rows that have none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

from .._arrow import pa, pc
from .._values.chunks import int64_array, int64_scalar

__all__ = ["Cells", "cells_in", "joined"]


class Cells(NamedTuple):
    """The values of a column.

    Attributes:
        rows: the rows that have one, in order.
        values: the value of each.
    """

    rows: pa.Array
    values: pa.Array

    def at(self, rows: pa.Array) -> pa.Array:
        """The value of each of some rows; null if it has none."""
        return self.values.take(pc.index_in(rows, value_set=self.rows))

    def moved(self, places: pa.Array) -> Cells:
        """The same with rows at other places; null for rows that are left out."""
        rows = places.take(self.rows)
        order = pc.sort_indices(rows).slice(0, len(rows) - rows.null_count)
        return Cells(rows.take(order), self.values.take(order))


def cells_in(maps: pa.Array, first: int) -> Iterator[tuple[str, Cells]]:
    """The cells of each key in a sparse column; one pass over its values, however many keys.

    Args:
        maps: the map of each row.
        first: the number of the first row.
    """
    keys = maps.keys if pa.types.is_dictionary(maps.keys.type) else maps.keys.dictionary_encode()
    lists = pa.ListArray.from_arrays(maps.offsets, keys.indices)
    rows = pc.add(pc.list_parent_indices(lists).cast(pa.int64()), int64_scalar(first))
    places, values = lists.flatten(), pa.ListArray.from_arrays(maps.offsets, maps.items).flatten()
    order = pc.sort_indices(places)
    rows, values, runs = rows.take(order), values.take(order), pc.run_end_encode(places.take(order))
    names = keys.dictionary.take(runs.values).to_pylist()
    for name, (start, stop) in zip(names, pairwise([0, *runs.run_ends.to_pylist()]), strict=True):
        yield name, Cells(rows.slice(start, stop - start), values.slice(start, stop - start))


def joined(parts: Sequence[Cells], kind: pa.DataType) -> Cells:
    """Cells of consecutive ranges of rows as one, with values of a type."""
    if len(parts) == 1:
        return parts[0]
    rows = pa.concat_arrays([int64_array([]), *(each.rows for each in parts)])
    return Cells(rows, pa.concat_arrays([pa.nulls(0, kind), *(each.values for each in parts)]))
