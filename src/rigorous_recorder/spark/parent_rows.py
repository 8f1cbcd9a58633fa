"""Parent columns: one recorder for each distinct value, with the rows below it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .._arrow import pa, pc
from .._live.column import Column
from .._store.store import FolderStore
from .._values.kinds import FLOAT

__all__ = ["Grouped"]


class Grouped:
    """The recorders below one, created level by level as rows need them.

    Args:
        store: where they are created.
        top: the node above all of them.
    """

    def __init__(self, store: FolderStore, top: int) -> None:
        self._store = store
        self._top = top
        #: The nodes created so far, by parent node and value.
        self._known: dict[tuple[int, Any], int] = {}

    def nodes_of(self, levels: Sequence[tuple[Column, pa.Array]], rows: int) -> pa.Array:
        """The parent node of each row.

        Args:
            levels: the parent columns with their values, from the top down.
            rows: the number of rows.
        """
        above = pa.repeat(pa.scalar(self._top, pa.int64()), rows)
        for column, values in levels:
            above = self._level(above, column, values)
        return above

    def _level(self, above: pa.Array, column: Column, values: pa.Array) -> pa.Array:
        parents = above.dictionary_encode()
        # Compared as bits: 0.0 differs from -0.0, and NaN equals itself.
        bits = values.view(pa.int64()) if column.kind == FLOAT else values
        encoded = bits.dictionary_encode("encode")
        count = max(len(encoded.dictionary), 1)
        pair = pc.add(
            pc.multiply(parents.indices.cast(pa.int64()), count), encoded.indices.cast(pa.int64())
        ).dictionary_encode()
        parent = parents.dictionary.take(pc.divide(pair.dictionary, count)).to_pylist()
        at = pc.subtract(pair.dictionary, pc.multiply(pc.divide(pair.dictionary, count), count))
        keys = list(zip(parent, encoded.dictionary.take(at).to_pylist(), strict=True))
        new = [place for place, key in enumerate(keys) if key not in self._known]
        if new:
            rows = pc.index_in(pa.array(new, pa.int64()), pair.indices.cast(pa.int64()))
            nodes = [self._store.new_node() for _ in new]
            self._store.set_many(
                pa.array(nodes, pa.int64()),
                pa.array([parent[place] for place in new], pa.int64()),
                {column: values.take(rows)},
            )
            self._known |= {keys[place]: node for place, node in zip(new, nodes, strict=True)}
        found = pa.array([self._known[key] for key in keys], pa.int64())
        return found.take(pair.indices)
