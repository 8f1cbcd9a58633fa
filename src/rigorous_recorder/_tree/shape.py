"""The shape of the tree: the nodes, and their parents."""

from __future__ import annotations

from collections.abc import Sequence

from .._arrow import pa, pc
from .._values.chunks import count_to, int64_array, int64_scalar
from .arrangement import Arrangement

__all__ = ["Shape"]


class Shape:
    """The nodes of a tree, by ids and positions."""

    @property
    def arranged(self) -> Arrangement:
        """The nodes in order of depth."""
        raise NotImplementedError

    @property
    def ids(self) -> pa.Array:
        """The ids of the nodes, int64, ancestors before their descendants."""
        return self.arranged.ids

    @property
    def parents(self) -> pa.Array:
        """The position of each node's parent in ``ids``; null for a root."""
        return self.arranged.parents

    @property
    def attached(self) -> pa.Array:
        """Increases in the order in which nodes were attached to their parents; null for a root."""
        return self.arranged.attached

    @property
    def count(self) -> int:
        """The number of nodes."""
        return len(self.ids)

    def positions(self, ids: pa.Array) -> pa.Array:
        """The position of each id, or null; costs one pass over the nodes, however many ids."""
        if (first := self._first_of_slice(ids)) is not None:
            return pc.add(count_to(len(ids)), int64_scalar(first))
        if 4 * len(ids) > len(self.ids):
            return pc.index_in(ids, value_set=self.ids).cast(pa.int64())
        few = pc.unique(ids)
        found = pc.indices_nonzero(pc.is_in(self.ids, value_set=few)).cast(pa.int64())
        return found.take(pc.index_in(ids, value_set=self.ids.take(found)))

    def _first_of_slice(self, ids: pa.Array) -> int | None:
        """The position of the first id if the others follow it here, as those of a level do."""
        first = self.position(ids[0].as_py()) if len(ids) and not ids.null_count else None
        return first if first is not None and self.ids.slice(first, len(ids)).equals(ids) else None

    def positions_of(self, ids: Sequence[int]) -> pa.Array:
        """Positions of existing nodes."""
        return self.positions(int64_array(ids))

    def position(self, node: int) -> int | None:
        """The position of a node; None if it has no updates."""
        found: int = pc.index(self.ids, int64_scalar(node)).as_py()
        return None if found < 0 else found

    def children(self, node: int) -> list[int]:
        """Ids of the children of a node, in the order in which they were attached."""
        ids: list[int] = self.ids.take(self.child_positions(node)).to_pylist()
        return ids

    def child_positions(self, node: int) -> pa.Array:
        """Positions of the children of a node, in the order in which they were attached."""
        position = self.position(node)
        if position is None:
            return int64_array([])
        found = pc.indices_nonzero(pc.equal(self.parents, int64_scalar(position))).cast(pa.int64())
        return found.take(pc.sort_indices(self.attached.take(found)))

    def parent(self, node: int) -> int | None:
        """The id of a node's parent; None for a root."""
        position = self.position(node)
        at = None if position is None else self.parents[position].as_py()
        return None if at is None else self.ids[at].as_py()

    def below(self, *nodes: int) -> pa.Array:
        """Ids of nodes and all their descendants; of a node without updates, only its own."""
        if len(nodes) == 1 and self.position(nodes[0]) is None:
            return int64_array(nodes)
        found = level = self.positions_of(nodes)
        while len(level):
            mask = pc.is_in(self.parents, value_set=level)
            level = pc.indices_nonzero(mask).cast(pa.int64())
            found = pa.concat_arrays([found, level])
        return self.ids.take(found)
