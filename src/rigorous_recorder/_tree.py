"""Resolved nodes: every key of a node and of its ancestors, by column, the nearest word winning."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from ._lazy import lazy_module
from ._live.column import NODE, PARENT_COLUMN, TIME_COLUMN, Column
from ._store.fragments import Fragment
from ._values.kinds import NULL, Kind

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.compute as pc
else:
    pa = lazy_module("pyarrow")
    pc = lazy_module("pyarrow.compute")

__all__ = ["EXPERIMENT_KEYS", "Nodes", "Variants", "column_in", "keys_of", "values_of"]

#: What a collection says of every experiment; these come first in the flat table.
EXPERIMENT_KEYS: Final = (
    "experiment_number",
    "error_number",
    "had_error",
    "experiment_start_time",
    "experiment_end_time",
    "experiment_duration",
)

Variants = dict[Column, Any]
"""The values of one key: for each column an array, and no row has a value in more than one."""


def column_in(table: pa.Table, fragment: Fragment, column: Column) -> pa.Array:
    """A column of a piece of a fragment with its sealed type; nulls where it is not there."""
    name = fragment.columns.get(column)
    if name is None:
        return pa.nulls(table.num_rows, column.kind.sealed_type)
    chunks = table.column(name).combine_chunks()
    return column.kind.unfile(chunks)


def keys_of(columns: Iterable[Column]) -> list[str]:
    """The users' keys among columns, each once, in order."""
    return list(dict.fromkeys(column.key for column in columns if isinstance(column.key, str)))


def values_of(variants: Variants, rows: int) -> list[Any]:
    """The values of one key as Python objects, None where there is none."""
    merged: list[Any] = [None] * rows
    for column, values in variants.items():
        if values.null_count == rows:
            continue
        found = column.kind.values(values)
        if values.null_count:
            found = [old if v is None else v for old, v in zip(merged, found, strict=True)]
        merged = found
    return merged


class Nodes:
    """All nodes of a tree at one moment.

    Attributes:
        ids: int64 array of the nodes' ids, ancestors before their descendants.
        parents: for each node the position of its parent in ``ids``; null for a root.
        columns: the physical columns of the users' keys.
    """

    def __init__(self, fragments: Sequence[Fragment]) -> None:
        columns = dict.fromkeys(column for each in fragments for column in each.columns)
        self.columns = [column for column in columns if isinstance(column.key, str)]
        self._stack(fragments, [*self.columns, PARENT_COLUMN, TIME_COLUMN])
        self._arrange()
        self._sources: dict[str, Any] = {}

    @property
    def count(self) -> int:
        """Number of nodes."""
        return len(self.ids)

    @cached_property
    def keys(self) -> list[str]:
        """The keys in order of the flat table: experiment's, then the nearer the root the earlier."""
        return self._ordered(range(self.count))

    def keys_above(self, positions: pa.Array) -> list[str]:
        """The keys that these nodes or ancestors of theirs have, in order of the flat table."""
        reached: dict[int, None] = {}
        parents = self.parents.to_pylist()
        for start in positions.to_pylist():
            at: int | None = start
            while at is not None and at not in reached:
                reached[at] = None
                at = parents[at]
        return self._ordered(sorted(reached))

    def resolved(self, key: str, positions: pa.Array | None = None) -> Variants:
        """The values of a key that nodes have or inherit, for all nodes or those at positions."""
        source = self._source(key)
        rows = source if positions is None else source.take(positions)
        return self._values(key, rows)

    def kinds(self, key: str, positions: pa.Array | None = None) -> set[Kind]:
        """The kinds of the values that nodes have or inherit; not of what was said before."""
        found = self.resolved(key, positions)
        return {column.kind for column, values in found.items() if values.null_count < len(values)}

    def own(self, key: str, positions: pa.Array | None = None) -> Variants:
        """The values of a key that were said of the nodes themselves."""
        source = self._said(key)
        return self._values(key, source if positions is None else source.take(positions))

    def own_data(self, positions: pa.Array) -> list[dict[str, Any]]:
        """For each position what was said of that node itself; None where that was the word."""
        found: list[dict[str, Any]] = [{} for _ in range(len(positions))]
        for key in keys_of(self.columns):
            said = self._ever_said(key).take(positions)
            values = values_of(self.own(key, positions), len(positions))
            for at in pc.indices_nonzero(said).to_pylist():
                found[at][key] = values[at]
        return found

    def positions(self, ids: pa.Array) -> pa.Array:
        """For each id its position, or null; costs one pass over the nodes, however many ids."""
        few = pc.unique(ids)
        found = pc.indices_nonzero(pc.is_in(self.ids, value_set=few)).cast(pa.int64())
        return found.take(pc.index_in(ids, value_set=self.ids.take(found)))

    def positions_of(self, ids: Sequence[int]) -> pa.Array:
        """Positions of nodes that are known to be there."""
        return self.positions(pa.array(ids, pa.int64()))

    def position(self, node: int) -> int | None:
        """Position of one node, or None where nothing was said of it."""
        found: int = pc.index(self.ids, pa.scalar(node, pa.int64())).as_py()
        return None if found < 0 else found

    def children(self, node: int) -> list[int]:
        """Ids of the nodes whose parent that is, in the order in which they were attached."""
        position = self.position(node)
        if position is None:
            return []
        is_child = pc.equal(self.parents, position)
        order = pc.sort_indices(self._attached.filter(is_child))
        ids: list[int] = self.ids.filter(is_child).take(order).to_pylist()
        return ids

    def parent(self, node: int) -> int | None:
        """Id of the parent of a node; None for a root."""
        position = self.position(node)
        at = None if position is None else self.parents[position].as_py()
        return None if at is None else self.ids[at].as_py()

    def below(self, node: int) -> pa.Array:
        """Ids of a node and all its descendants."""
        position = self.position(node)
        if position is None:
            return pa.array([node], pa.int64())
        found = level = pa.array([position], pa.int64())
        while len(level):
            mask = pc.is_in(self.parents, value_set=level)
            level = pc.indices_nonzero(mask).cast(pa.int64())
            found = pa.concat_arrays([found, level])
        return self.ids.take(found)

    # --- how it is found out -------------------------------------------------------------------

    def _stack(self, fragments: Sequence[Fragment], columns: list[Column]) -> None:
        """All rows of the nodes table, end to end, in the order in which they were said."""
        nodes: list[Any] = [pa.array([], pa.int64())]
        pieces: Variants = {c: [pa.array([], c.kind.sealed_type)] for c in columns}
        for fragment in fragments:
            for table in fragment.tables(columns):
                nodes.append(table.column(NODE).combine_chunks())
                for column in columns:
                    pieces[column].append(column_in(table, fragment, column))
        stacked = {column: pa.concat_arrays(found) for column, found in pieces.items()}
        order = pc.sort_indices(stacked[TIME_COLUMN].cast(pa.int64()))
        self._node = pa.concat_arrays(nodes).take(order)
        self._rows = {column: values.take(order) for column, values in stacked.items()}
        last = pc.max(stacked[TIME_COLUMN].cast(pa.int64())).as_py()
        #: Microseconds since the epoch when anything was said last; 0 where nothing was.
        self.last_time: int = last or 0

    def _arrange(self) -> None:
        """Put the nodes in levels, from the roots down, and find every node's parent."""
        # A parent of which nothing was said is a node too: the root of a collection is one.
        parents = self._rows[PARENT_COLUMN].drop_null()
        self._unique = pc.unique(pa.concat_arrays([parents, self._node]))
        self._of_row = pc.index_in(self._node, value_set=self._unique).cast(pa.int64())
        word = self._last(self._rows[PARENT_COLUMN].is_valid())
        above = pc.index_in(self._rows[PARENT_COLUMN].take(word), value_set=self._unique)
        parents = above.cast(pa.int64())
        self._levels = _levels(parents)
        order = pa.concat_arrays([pa.array([], pa.int64()), *self._levels])
        self._order = order
        self.ids = self._unique.take(order)
        self._attached = word.take(order)
        self.parents = pc.index_in(parents.take(order), value_set=order).cast(pa.int64())
        roots = len(self._levels[0]) if self._levels else 0
        is_root = pc.less(_count_to(len(order)), roots)
        self.parents = pc.if_else(is_root, pa.scalar(None, pa.int64()), self.parents)

    def _last(self, mask: pa.Array) -> pa.Array:
        """For each unique node, the last row that is in the mask; null where none is."""
        rows = pc.indices_nonzero(mask).cast(pa.int64())
        grouped = pa.table({"node": self._of_row.take(rows), "row": rows}).group_by("node")
        last = grouped.aggregate([("row", "max")])
        at = pc.index_in(_count_to(len(self._unique)), value_set=last["node"].combine_chunks())
        return last["row_max"].combine_chunks().take(at)

    def _said(self, key: str) -> pa.Array:
        """For each node the row with the last word on a key; null where that was None."""
        said = pa.nulls(len(self._node), pa.bool_()).fill_null(False)
        for column in self._columns_of(key):
            said = pc.or_(said, self._rows[column].is_valid())
        last = self._last(said).take(self._order)
        null = Column(key, NULL)
        if null not in self._rows:
            return last
        unsaid = self._rows[null].take(last).fill_null(False)
        return pc.if_else(unsaid, pa.scalar(None, pa.int64()), last)

    def _source(self, key: str) -> pa.Array:
        """As ``_said``, and where a node has no word of its own that of its nearest ancestor."""
        if key not in self._sources:
            own, start, above = self._said(key), 0, None
            pieces = [own.slice(0, 0)]
            for level in self._levels:
                piece = own.slice(start, len(level))
                if above is not None:
                    offset = pc.subtract(self.parents.slice(start, len(level)), start - len(above))
                    piece = pc.coalesce(piece, above.take(offset))
                pieces.append(piece)
                start, above = start + len(level), piece
            self._sources[key] = pa.concat_arrays(pieces)
        return self._sources[key]

    def _values(self, key: str, rows: pa.Array) -> Variants:
        return {
            column: self._rows[column].take(rows)
            for column in self._columns_of(key)
            if column.kind != NULL
        }

    def _columns_of(self, key: str) -> list[Column]:
        return [column for column in self.columns if column.key == key]

    def _ordered(self, positions: Sequence[int]) -> list[str]:
        """The keys said of these nodes: experiments' first, then by level, then by time."""
        wanted = pa.array(positions, pa.int64())
        ranks: list[tuple[bool, int, int, str]] = []
        for order, key in enumerate(keys_of(self.columns)):
            said = self._ever_said(key)
            if len(hits := pc.indices_nonzero(said.take(wanted))):
                first = self._level_of(positions[hits[0].as_py()])
                ranks.append((key not in EXPERIMENT_KEYS, first, order, key))
        return [key for *_, key in sorted(ranks)]

    def _ever_said(self, key: str) -> pa.Array:
        said = pa.nulls(len(self._node), pa.bool_()).fill_null(False)
        for column in self._columns_of(key):
            said = pc.or_(said, self._rows[column].is_valid())
        return self._last(said).take(self._order).is_valid()

    def _level_of(self, position: int) -> int:
        for depth, level in enumerate(self._levels):
            position -= len(level)
            if position < 0:
                return depth
        return len(self._levels)


def _levels(parents: pa.Array) -> list[pa.Array]:
    """Positions of nodes by how many ancestors they have.

    Nodes that are their own ancestors (two processes can say so at once) count as roots.
    """
    level = pc.indices_nonzero(parents.is_null()).cast(pa.int64())
    levels = []
    while len(level):
        levels.append(level)
        level = pc.indices_nonzero(pc.is_in(parents, value_set=level)).cast(pa.int64())
    placed = pa.concat_arrays([pa.array([], pa.int64()), *levels])
    if len(placed) == len(parents):
        return levels
    lost = pc.invert(pc.is_in(_count_to(len(parents)), value_set=placed))
    return _levels(pc.if_else(lost, pa.scalar(None, pa.int64()), parents))


def _count_to(stop: int) -> pa.Array:
    return pa.array(range(stop), pa.int64())
