"""Ids of nodes: unique without coordination, and some that every collection has."""

from __future__ import annotations

import itertools
from typing import Final

__all__ = ["DELETED", "ROOT", "WRITER_BITS", "NodeIds", "writer_of"]

#: The node above all experiments of a collection; it is there without being made by a writer.
ROOT: Final = 1
#: The node above all that was deleted from a collection: it is excluded from query results.
DELETED: Final = 2

WRITER_BITS: Final = 32
#: So many nodes of no writer have a meaning in every store: see ``ROOT`` and ``DELETED``.
_OF_COLLECTIONS: Final = 2


class NodeIds:
    """Ids of nodes: a writer's 32 bits and a counter, as one signed 64-bit number."""

    def __init__(self, writer: int) -> None:
        high = writer - (1 << WRITER_BITS if writer >> (WRITER_BITS - 1) else 0)
        # Of no writer are the nodes that every collection has: those in memory come behind them.
        self._ids = itertools.count((high << WRITER_BITS) + (1 if writer else _OF_COLLECTIONS + 1))

    def take(self) -> int:
        """An id that nobody else has in the collection."""
        return next(self._ids)


def writer_of(node: int) -> str:
    """Name of the writer that made a node."""
    return f"{(node >> WRITER_BITS) & 0xFFFFFFFF:08x}"
