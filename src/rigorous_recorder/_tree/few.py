"""The attributes of few nodes, all keys at once: no key is resolved for the other nodes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .._arrow import pa, pc

if TYPE_CHECKING:
    from .nodes import Nodes

__all__ = ["FewData"]

#: So many nodes, with their ancestors, are few.
_FEW: Final = 1_000
#: In the time that it takes to resolve a key, as many updates are looked at.
_UPDATES_OF_A_KEY: Final = 1_000
#: From so many calls on, resolving each key once for all of them takes less time.
_CALLS: Final = 4
#: The data of so many nodes, of so many bytes each, is held.
_HELD_NODES: Final = 64
_HELD_BYTES: Final = 1_000_000
_NUMBERS: Final = {"int", "int32", "float", "bool", "null"}


class FewData:
    """Own and inherited attributes of few nodes of a tree.

    Args:
        nodes: the tree.
    """

    def __init__(self, nodes: Nodes) -> None:
        self._nodes = nodes
        self._calls_left = _CALLS
        self._held: dict[int, dict[str, Any]] = {}

    def at(self, positions: pa.Array) -> list[dict[str, Any]] | None:
        """The attributes at each position, without missing ones; never change them.

        Values that are inherited are shared. None if that takes longer than to resolve each key for
        all nodes, or if some values can't be read.
        """
        if len(positions) > _FEW:
            return None
        wanted = positions.to_pylist()
        found = self._held
        if not all(at in found or at is None for at in wanted):
            if (read := self._read(positions)) is None:
                return None
            found = read
        return [{} if at is None else found[at] for at in wanted]

    def _read(self, positions: pa.Array) -> dict[int, dict[str, Any]] | None:
        nodes, rows = self._nodes, self._nodes.arranged.rows
        are_many = len(rows.node) > _UPDATES_OF_A_KEY * len(nodes.columns)
        if rows.has_lost or are_many or not self._calls_left:
            return None
        reached = nodes.with_ancestors(positions)
        if len(reached) > _FEW:
            return None
        self._calls_left -= 1
        found = self._resolved(reached.take(pc.sort_indices(reached)))
        if len(found) <= _HELD_NODES and self._widest <= _HELD_BYTES:
            self._held = found
        return found

    @property
    def _widest(self) -> int:
        """The bytes of a node's values, at most, without numbers."""
        columns = (each for each in self._nodes.columns if each.kind.cell not in _NUMBERS)
        return sum(map(self._nodes.widest, {str(column.key) for column in columns}))

    def _resolved(self, reached: pa.Array) -> dict[int, dict[str, Any]]:
        """The attributes of nodes that include their ancestors, which come before them."""
        nodes, nothing = self._nodes, dict[str, Any]()
        above = nodes.parents.take(reached).to_pylist()
        found: dict[int, dict[str, Any]] = {}
        for at, parent, own in zip(
            reached.to_pylist(), above, nodes.own_data(reached), strict=True
        ):
            present = {key: value for key, value in own.items() if value is not None}
            found[at] = {**(nothing if parent is None else found[parent]), **present}
        return found
