"""Moving in: an unattached tree of recorders goes over to the store of its new parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._engines.scan import Moment, Piece, Scan, Scope
from ._lazy import lazy_module
from ._store.store import MemoryStore, Store
from ._tree import Nodes

if TYPE_CHECKING:
    import pyarrow as pa
else:
    pa = lazy_module("pyarrow")

__all__ = ["copy_tree", "copy_with_ancestors"]


def copy_tree(moment: Moment, top: int, target: Store, parent: int | None) -> dict[int, int]:
    """Write a node, all below it and their records to another store.

    Args:
        moment: the tree that is copied from.
        top: the node whose subtree is copied.
        target: the store that is written to.
        parent: node of ``target`` that becomes the parent of the copy of ``top``.

    Returns:
        For each copied node the id that it has in ``target``.
    """
    nodes = moment.nodes
    if nodes.position(top) is None:  # nothing was said of it, or it was deleted
        new = {top: target.new_node()}
        target.say(new[top], {}, parent)
        return _with_records(moment, top, new, target)
    positions = nodes.positions(nodes.below(top))
    ids = nodes.ids.take(positions).to_pylist()
    above = nodes.ids.take(nodes.parents.take(positions)).to_pylist()
    new = {node: target.new_node() for node in ids}
    for node, old_parent, data in zip(ids, above, nodes.own_data(positions), strict=True):
        target.say(new[node], data, parent if node == top else new[old_parent])
    return _with_records(moment, top, new, target)


def _with_records(moment: Moment, top: int, new: dict[int, int], target: Store) -> dict[int, int]:
    """Write the records at and below a node as those of the new nodes, which are given back."""
    for piece in Scan(moment, Scope(top), {}).pieces():
        _copy_records(piece, new, target)
    return new


def copy_with_ancestors(moment: Moment, node: int) -> tuple[MemoryStore, int]:
    """A copy in memory of a node, all above and all below it, and the copy's id there."""
    store, parent = MemoryStore(), None
    for above in _ancestors(moment.nodes, node):
        copied = store.new_node()
        at = moment.nodes.positions_of([above])
        store.say(copied, moment.nodes.own_data(at)[0], parent)
        parent = copied
    return store, copy_tree(moment, node, store, parent)[node]


def _ancestors(nodes: Nodes, node: int) -> list[int]:
    """Ids of the nodes above, from the root down."""
    found: list[int] = []
    above = nodes.parent(node)
    while above is not None:
        found.append(above)
        above = nodes.parent(above)
    return found[::-1]


def _copy_records(piece: Piece, new: dict[int, int], target: Store) -> None:
    ids = pa.array([new[node] for node in piece.node_ids.to_pylist()], pa.int64())
    target.records.append_columns(ids, piece.stored())
