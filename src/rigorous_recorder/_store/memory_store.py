"""The store of recorders without a collection: everything is in memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from itertools import starmap
from typing import Any

from .._arrow import pa, pc
from .._live.backend import SegmentBatch
from .._live.backing import Image, MemoryImage
from .._live.column import NODE, Column
from .._live.fields import Described
from .._live.layout import Blank
from .._live.table_writer import TableWriter
from .._values.chunks import int64_array
from .background import holding, watch
from .folder import NODES, RECORDS
from .footer import describe_file
from .fragments import InMemoryFragment
from .node_ids import NodeIds
from .reader import Reader, StoreSnapshot, Version
from .store import Store

__all__ = ["MemoryBackend", "MemoryReader", "MemoryStore", "MovedError"]


class MemoryBackend:
    """The backend of recorders without a collection: rows stay in memory."""

    is_durable = False
    is_ending = False
    trouble = ""

    def __init__(self) -> None:
        self.ids = NodeIds(0)
        self.sealed: dict[str, list[SegmentBatch]] = {"records": [], "nodes": []}

    @property
    def lease(self) -> MemoryBackend:
        """Nothing to do: no other process sees memory."""
        return self

    def look(self) -> MemoryBackend:
        """Nothing to do: no other process sees memory."""
        return self

    def metadata(self, table: str) -> dict[bytes, bytes]:
        """The metadata of all batches of a table."""
        return describe_file(table=table)

    def open(self) -> None:
        """Memory is always ready."""

    def allows_sparse(self) -> bool:
        """Memory has no readers of other versions."""
        return True

    def image(self, table: str, number: int, blank: Blank) -> Image:  # noqa: ARG002 - Backend's
        """An image in memory."""
        return MemoryImage(blank)

    def publish(self, table: str, number: int, image: Image) -> None:
        """Nothing to do: there are no other readers."""

    def withdraw(self, table: str, number: int, image: Image) -> None:
        """Nothing to do: there is no file."""

    def seal(self, table: str, parts: list[SegmentBatch]) -> bool:
        """Store the rows; safe to repeat after an interruption."""
        stored = self.sealed[table]
        known = {number for number, _ in stored[-len(parts) :]}
        stored += [part for part in parts if part.number not in known]
        return True

    def seal_first_rows(self, table: str, part: SegmentBatch) -> int:
        """No other process seals rows in memory."""
        raise NotImplementedError

    def schedule(self, job: Callable[[], object]) -> None:
        """Run the job at once: nothing in memory takes long."""
        job()

    def complain(self, error: Exception) -> None:
        """Nothing to do: memory does not fail like a disk."""
        raise error


class MovedError(Exception):
    """A row is for a node that has moved to another store meanwhile."""


class _MovableTable(TableWriter):
    """A table whose nodes can move away; then it accepts no more rows of them."""

    def __init__(self, name: str, backend: MemoryBackend, gone: Mapping[int, object]) -> None:
        super().__init__(name, backend)
        self.gone = gone

    def append(self, node: int, fields: dict[Any, Any]) -> None:
        with self.lock:
            if node in self.gone:
                raise MovedError
            super().append(node, fields)

    def append_columns(self, nodes: pa.Array, columns: Mapping[Column, pa.Array]) -> None:
        with self.lock:
            if self.gone and not self.gone.keys().isdisjoint(pc.unique(nodes).to_pylist()):
                raise MovedError
            super().append_columns(nodes, columns)

    def _append_carefully(self, node: int, row: Described) -> None:
        if node in self.gone:  # moved by a value's own code
            raise MovedError
        super()._append_carefully(node, row)


class MemoryReader(Reader):
    """Reads rows in memory."""

    def __init__(self, records: TableWriter, nodes: TableWriter, backend: MemoryBackend) -> None:
        self._records = records
        self._nodes = nodes
        self._backend = backend

    def version(self) -> Version:
        """Equal as long as nothing was written."""
        return Version(self._records.version, self._nodes.version)

    def snapshot(self) -> StoreSnapshot:
        """A snapshot of all rows of both tables."""
        return StoreSnapshot(self.fragments(self._records), self.fragments(self._nodes))

    def fragments(self, table: TableWriter) -> list[InMemoryFragment]:
        """All rows of a table."""
        with table.lock:
            return list(
                starmap(InMemoryFragment, [*self._backend.sealed[table.name], *table.parts()])
            )


class MemoryStore(Store):
    """The store of recorders without a collection: everything is in memory."""

    def __init__(self) -> None:
        super().__init__()
        self._backend = MemoryBackend()
        #: The new places of nodes that have moved away.
        self.gone: dict[int, tuple[Store, int]] = {}
        self.records: _MovableTable = _MovableTable(RECORDS, self._backend, self.gone)
        self.nodes: _MovableTable = _MovableTable(NODES, self._backend, self.gone)
        self.reader: MemoryReader = MemoryReader(self.records, self.nodes, self._backend)
        watch(self)

    def new_node(self) -> int:
        """An id for a new node."""
        return self._backend.ids.take()

    def flush(self) -> None:
        """Nothing to do: memory is all there is."""

    def sync(self) -> None:
        """Nothing to do: memory is all there is."""

    def close(self) -> None:
        """Nothing to do: memory is all there is."""

    def end(self) -> None:
        """Nothing to do: memory is all there is."""

    def renew_after_fork(self) -> None:
        """In a forked child: new locks; the rows are a copy."""
        self.records.free_lock()
        self.nodes.free_lock()
        self.clock.free_lock()

    def staying(self) -> AbstractContextManager[object]:
        """Keep nodes from moving away meanwhile."""
        return self.nodes.lock

    def moved_to(self, node: int) -> tuple[Store, int] | None:
        """The store that a node has moved to, and its id there; None if it has not moved.

        Rows that were read before a call that returns None are complete.
        """
        return self.gone.get(node)

    def moving(self) -> AbstractContextManager[None]:
        """Exclude writers while a part of the tree moves to another store."""
        return holding(self.nodes, self.records)

    def drop(self, nodes: Mapping[int, int], store: Store) -> None:
        """Forget nodes and their records, which are in another store now, as other nodes."""
        gone = int64_array(list(nodes))
        for table in (self.nodes, self.records):
            rests: list[SegmentBatch] = []
            for fragment in self.reader.fragments(table):
                rest = fragment.whole.filter(
                    pc.invert(pc.is_in(fragment.whole.column(NODE), value_set=gone))
                )
                rests += [
                    SegmentBatch(fragment.origin.number, batch) for batch in rest.to_batches()
                ]
            self._backend.sealed[table.name] = rests
            table.forget_rows()
        self.gone.update((node, (store, new)) for node, new in nodes.items())
