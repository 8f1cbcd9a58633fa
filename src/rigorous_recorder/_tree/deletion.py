"""The nodes that were deleted, or wait for a parent: all those below the node ``DELETED``."""

from __future__ import annotations

from .._arrow import pa, pc
from .._live.column import DELETION_COLUMN, TIME_COLUMN
from .._once import once
from .._store.node_ids import DELETED
from .._values.chunks import int64_array, int64_scalar
from .shape import Shape

__all__ = ["Deletion"]


class Deletion:
    """The nodes that are excluded from query results.

    Args:
        everything: all nodes, including deleted ones; None if no update ever deleted any.
    """

    def __init__(self, everything: Shape | None) -> None:
        self._everything = everything

    @once
    def ids(self) -> pa.Array | None:
        """Sorted ids of the deleted nodes and of all below them; None if there are none."""
        below = _sorted_below(self._everything, [DELETED])
        return None if below is None or len(below) == 1 else below

    @once
    def for_good(self) -> pa.Array | None:
        """Sorted ids of the nodes that no later update can bring back; None if there are none.

        The others wait for a parent, or are below a node that does.
        """
        return _sorted_below(self._everything, self.tops)

    @property
    def tops(self) -> list[int]:
        """The nodes that were deleted by their own update, rather than that of an ancestor."""
        return [node for node, (is_deleted, _) in self._ends.items() if is_deleted]

    @once
    def waiting(self) -> pa.Array | None:
        """Sorted ids of the nodes that wait for a parent and of all below them; None for none."""
        if self.ids is None:
            return None
        found = self.ids.filter(pc.not_equal(self.ids, int64_scalar(DELETED)))
        if self.for_good is not None:
            found = found.filter(pc.invert(pc.is_in(found, value_set=self.for_good)))
        return found if len(found) else None

    @property
    def waiting_tops(self) -> dict[int, int]:
        """The nodes that wait for a parent, with the time of their latest update.

        Times are in microseconds since the epoch.
        """
        return {node: time for node, (is_deleted, time) in self._ends.items() if not is_deleted}

    @once
    def _ends(self) -> dict[int, tuple[bool, int]]:
        """For each node directly below ``DELETED`` whether that is for good, and its latest time."""
        if self._everything is None:
            return {}
        rows = self._everything.arranged.rows
        children = int64_array(self._everything.children(DELETED))
        of_them = pc.is_in(rows.node, value_set=children)
        flags = rows[DELETION_COLUMN].filter(of_them).to_pylist()
        times = (
            rows[TIME_COLUMN]
            .filter(of_them)
            .cast(pa.int64())
            .fill_null(int64_scalar(0))
            .to_pylist()
        )
        found = dict.fromkeys(children.to_pylist(), (False, 0))
        for node, flag, time in zip(
            rows.node.filter(of_them).to_pylist(), flags, times, strict=True
        ):
            found[node] = (found[node][0] or bool(flag), max(found[node][1], time))
        return found


def _sorted_below(everything: Shape | None, nodes: list[int]) -> pa.Array | None:
    """Sorted ids of nodes and all their descendants."""
    if everything is None or not nodes:
        return None
    below = everything.below(*nodes)
    return below.take(pc.sort_indices(below))
