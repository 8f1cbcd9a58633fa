"""Ids of nodes: unique without coordination; a few are the same in every collection."""

from __future__ import annotations

import itertools
from typing import Final

__all__ = ["DELETED", "ROOT", "WRITER_BITS", "NodeIds", "writer_of"]

#: The node above all experiments of a collection; no writer creates it.
ROOT: Final = 1
#: The node above all deleted nodes of a collection: excluded from query results.
DELETED: Final = 2

WRITER_BITS: Final = 32
#: This many ids of no writer are reserved in every store: see ``ROOT`` and ``DELETED``.
_OF_COLLECTIONS: Final = 2


class NodeIds:
    """Ids of nodes: a writer's 32 bits and a counter, as one signed 64-bit number."""

    def __init__(self, writer: int) -> None:
        high = writer - (1 << WRITER_BITS if writer >> (WRITER_BITS - 1) else 0)
        # Ids of no writer begin with those reserved in every collection; memory stores follow.
        self._ids = itertools.count((high << WRITER_BITS) + (1 if writer else _OF_COLLECTIONS + 1))

    def take(self) -> int:
        """An id that is unique in the collection."""
        return next(self._ids)


def writer_of(node: int) -> str:
    """The name of the writer that created a node."""
    return f"{(node >> WRITER_BITS) & 0xFFFFFFFF:08x}"
