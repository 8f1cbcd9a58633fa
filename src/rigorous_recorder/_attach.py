"""Attaching an unattached tree of recorders to the store of its new parent."""

from __future__ import annotations

import _thread
import sys
from collections.abc import Callable, Collection
from types import FrameType
from typing import Final

from ._engines.piece import Piece
from ._engines.scan import Scan
from ._engines.scanned_rows import Scope
from ._engines.snapshot import Snapshot
from ._store.memory_store import MemoryStore
from ._store.store import Store
from ._tree.nodes import Nodes
from ._values.chunks import int64_array

__all__ = ["copy_tree", "copy_with_ancestors", "keys_in", "undisturbed"]

_PACKAGE: Final = __name__.partition(".")[0]


def copy_tree(snapshot: Snapshot, top: int, target: Store, parent: int | None) -> dict[int, int]:
    """Write a node, all below it and their records to another store.

    Args:
        snapshot: the tree to copy from.
        top: the node whose subtree is copied.
        target: the store to write to.
        parent: the node of ``target`` that becomes the parent of the copy of ``top``.

    Returns:
        The id in ``target`` of each copied node.
    """
    nodes = snapshot.nodes
    if nodes.position(top) is None:  # it has no attributes, or was deleted
        new = {top: target.new_node()}
        target.set_attributes(new[top], {}, parent)
        return _with_records(snapshot, top, new, target)
    positions = nodes.positions(nodes.below(top))
    ids = nodes.ids.take(positions).to_pylist()
    above = nodes.ids.take(nodes.parents.take(positions)).to_pylist()
    new = {node: target.new_node() for node in ids}
    for node, old_parent, data in zip(ids, above, nodes.own_data(positions), strict=True):
        target.set_attributes(new[node], data, parent if node == top else new[old_parent])
    return _with_records(snapshot, top, new, target)


def keys_in(snapshot: Snapshot, top: int, keys: Collection[str]) -> list[str]:
    """Those of some keys that a node, nodes below it, or their records have."""
    nodes, scan = snapshot.nodes, Scan(snapshot, Scope(top), ())
    known = {column.key for column in (*nodes.columns, *snapshot.record_columns)}
    positions = nodes.positions(nodes.below(top)).drop_null()
    return [
        key
        for key in keys
        if key in known
        and (
            any(values.null_count < len(values) for values in nodes.own(key, positions).values())
            or any(column.key == key for column in scan.record_columns)
        )
    ]


def _with_records(
    snapshot: Snapshot, top: int, new: dict[int, int], target: Store
) -> dict[int, int]:
    """Write the records at and below a node as those of the new nodes; return these nodes."""
    for piece in Scan(snapshot, Scope(top)).pieces():
        _copy_records(piece, new, target)
    return new


def copy_with_ancestors(snapshot: Snapshot, node: int) -> tuple[MemoryStore, dict[int, int]]:
    """A copy in memory of a node, its ancestors and its descendants.

    Returns:
        The store with the copy, and the new ids of the node and its descendants.
    """
    store, parent = MemoryStore(), None
    for above in _ancestors(snapshot.nodes, node):
        copied = store.new_node()
        at = snapshot.nodes.positions_of([above])
        store.set_attributes(copied, snapshot.nodes.own_data(at)[0], parent)
        parent = copied
    return store, copy_tree(snapshot, node, store, parent)


def _ancestors(nodes: Nodes, node: int) -> list[int]:
    """Ids of the ancestors, from the root down."""
    found: list[int] = []
    above = nodes.parent(node)
    while above is not None:
        found.append(above)
        above = nodes.parent(above)
    return found[::-1]


def _copy_records(piece: Piece, new: dict[int, int], target: Store) -> None:
    ids = int64_array([new[node] for node in piece.node_ids.to_pylist()])
    target.records.append_columns(ids, piece.stored())


def undisturbed(work: Callable[[], None]) -> None:
    """Run a function to its end, whatever Ctrl-C and signal handlers raise meanwhile.

    Signal handlers run in the main thread, so the function runs in another one. What they raise is
    raised when the function is done.

    Raises:
        BaseException: what ``work`` or a signal handler raised.
    """
    if _is_amid_ours():  # in a handler: this thread may hold what another one would wait for
        work()
        return
    to_do = [work]
    ended: list[None] = []
    raised: list[BaseException] = []
    running = _thread.allocate_lock()
    running.acquire()

    def do() -> None:
        try:
            job = to_do.pop()
        except IndexError:  # another thread is running it
            return
        try:
            job()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)
        finally:
            ended.append(None)
            running.release()

    # Without ``threading``, which can't handle interrupts at arbitrary lines.
    while not ended:
        try:
            try:
                _thread.start_new_thread(do, ())
            except RuntimeError:  # there are no more threads, as when Python exits
                do()
            running.acquire()
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)
    if raised:
        raise raised[0]


def _is_amid_ours() -> bool:
    """Whether the calling code interrupts a call of this package."""
    has_left = False
    above: FrameType | None = sys._getframe()
    while above is not None:
        is_ours = str(above.f_globals.get("__name__")).partition(".")[0] == _PACKAGE
        if is_ours and has_left:
            return True
        has_left = has_left or not is_ours
        above = above.f_back
    return False
