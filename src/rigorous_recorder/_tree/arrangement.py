"""The nodes in order of depth, from the roots down, and the updates of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .._arrow import pa, pc
from .._live.column import PARENT_COLUMN
from .._store.fragments import Fragment
from .._store.node_ids import DELETED
from .._store.node_index import NodeIndex
from .._values.chunks import int64_scalar, null_scalar
from .unread import unread_tables
from .updates import Updates, UpdatesByNode

__all__ = ["Arrangement", "arranged", "index_of", "indexed"]


class Arrangement(NamedTuple):
    """The nodes, ancestors before their descendants, each at its position.

    Attributes:
        rows: all updates.
        updates: the updates of each node.
        parents: the position of each node's parent; null for a root.
        depths: the number of ancestors of each node.
        attached: increases in the order in which nodes were attached to their parents.
    """

    rows: Updates
    updates: UpdatesByNode
    ids: pa.Array
    parents: pa.Array
    depths: pa.Array
    attached: pa.Array


def arranged(rows: Updates, deletions: pa.Array | None = None) -> Arrangement:
    """Arrange the nodes of all updates.

    Args:
        deletions: which updates delete their node for good, whatever its parent is set to later.
            None if there are none.
    """
    parents, encoded = rows[PARENT_COLUMN], rows.node.dictionary_encode()
    if deletions is not None:
        parents = pc.if_else(deletions, int64_scalar(DELETED), parents)
    # A parent without an update of its own is a node, too, such as the root of a collection.
    named = pc.unique(parents.drop_null())
    without = named.filter(pc.invert(pc.is_in(named, value_set=encoded.dictionary)))
    unique = pa.concat_arrays([encoded.dictionary, without])
    updates = UpdatesByNode(encoded.indices.cast(pa.int64()), len(unique))
    last = updates.last(rows.setting([PARENT_COLUMN]))
    if deletions is not None:
        last = pc.coalesce(updates.last(pc.indices_nonzero(deletions).cast(pa.int64())), last)
    above = _index_in(parents.take(last), unique)
    depths = _depths(above)
    order = pc.sort_indices(depths)
    places, depths = _inverse(order), depths.take(order)
    is_root = pc.equal(depths, int64_scalar(0))
    return Arrangement(
        rows=rows,
        updates=updates.moved(places),
        ids=unique.take(order),
        parents=pc.if_else(is_root, null_scalar(pa.int64()), places.take(above.take(order))),
        depths=depths,
        attached=last.take(order),
    )


def index_of(found: Arrangement, deleted: pa.Array | None, keys: Sequence[str]) -> NodeIndex:
    """What an index has of an arrangement, which was made without one."""
    order = found.rows.order
    return NodeIndex(
        found.ids,
        found.parents,
        found.depths,
        found.attached,
        found.updates.of_row,
        None if order is None else order.cast(pa.int64()),
        deleted,
        keys,
        found.rows.last_time,
    )


def indexed(index: NodeIndex, fragments: Sequence[Fragment]) -> Arrangement:
    """The arrangement that an index has; of the updates only those columns are read that are used."""
    rows = Updates.in_order(
        unread_tables(fragments), index.ids.take(index.of_row), index.order, index.last_time
    )
    updates = UpdatesByNode(index.of_row, len(index.ids))
    return Arrangement(rows, updates, index.ids, index.parents, index.depths, index.attached)


def _depths(parents: pa.Array) -> pa.Array:
    """The number of ancestors of each node; ``parents`` are positions, null for a root.

    Each round doubles the distance to the ancestor. Nodes that are their own ancestors (two processes
    can attach them at once) count as roots.
    """
    depths = pc.cast(parents.is_valid(), pa.int64())
    above = parents
    for _ in range(len(parents).bit_length() + 1):
        if above.null_count == len(above):
            return depths
        depths = pc.add(depths, depths.take(above).fill_null(int64_scalar(0)))
        above = above.take(above)
    return _depths(pc.if_else(above.is_valid(), null_scalar(pa.int64()), parents))


def _index_in(values: pa.Array, whole: pa.Array) -> pa.Array:
    """The position of each value; null for null."""
    few = values.dictionary_encode()
    found = pc.index_in(few.dictionary, value_set=whole).cast(pa.int64())
    return found.take(few.indices)


def _inverse(order: pa.Array) -> pa.Array:
    """The inverse of a permutation."""
    return pc.sort_indices(order).cast(pa.int64())
