"""Nodes in the order of their ids, in which engines look them up."""

from __future__ import annotations

from .._arrow import pa, pc
from .scan import Scan

__all__ = ["SortedNodes"]


class SortedNodes:
    """The nodes whose records a scan reads, sorted by id.

    Attributes:
        positions: for each its position among all nodes of the snapshot.
        ids: their ids.
    """

    def __init__(self, scan: Scan) -> None:
        ids, positions = scan.snapshot.nodes.ids, scan.node_positions
        if positions is not None:
            ids = ids.take(positions)
        order = pc.sort_indices(ids)
        self.positions: pa.Array = order if positions is None else positions.take(order)
        self.ids: pa.Array = ids.take(order)

    def places(self, ids: pa.Array) -> pa.Array:
        """The place of each id among these nodes; null if it is not there."""
        return pc.index_in(ids, value_set=self.ids).cast(pa.int64())
