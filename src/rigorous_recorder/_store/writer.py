"""Writing attributes and records to a store."""

from __future__ import annotations

import contextlib
import os
import weakref
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from .._arrow import pa
from .._keys import RESERVED, require_free
from .._live.column import DELETION, PARENT, PARENT_COLUMN, TIME, TIME_COLUMN, Column
from .._live.table_writer import TableWriter
from .backend import FolderBackend
from .background import holding
from .clock import Clock
from .folder import NODES, RECORDS, Folder
from .handles import Handles
from .node_ids import DELETED

__all__ = ["FolderWriter", "Writer"]

#: Seconds between two seals of what is logged while the interpreter exits.
_TRIES: Final = 5


class Writer:
    """Writes to a store: two live tables, and the recorders of their nodes."""

    records: TableWriter
    nodes: TableWriter

    def __init__(self) -> None:
        self.handles = Handles()
        self.clock = Clock()
        #: Whether attributes of types that can't be stored raise.
        self.is_strict = False

    def new_node(self) -> int:
        """An id for a new node."""
        raise NotImplementedError

    def sync(self) -> None:
        """Block until all rows survive a power loss, or wait in memory with a warning to the user."""
        raise NotImplementedError

    def set_attributes(self, node: int, data: Mapping[str, Any], parent: int | None = None) -> int:
        """Write attributes of a node; for each key, and for its parent, the latest value counts.

        Returns:
            The time of the write: of two writes to one store the later one has the higher.

        Raises:
            KeyNotTextError, UnsupportedTypeError, UnsupportedValueError: nothing was written.
        """
        now = self.clock.now()
        if parent is None:
            self.nodes.append(node, {TIME: now, **data})
        else:
            self.nodes.append(node, {TIME: now, PARENT: parent, **data})
        return now

    def withdraw(self, node: int) -> None:
        """Exclude a node, with all below it, from query results."""
        self.nodes.append(node, {TIME: self.clock.now(), PARENT: DELETED, DELETION: True})

    def set_many(self, nodes: pa.Array, parents: pa.Array, data: Mapping[Column, pa.Array]) -> None:
        """Like ``set_attributes``, for many nodes: ids, parents' ids, and columns of sealed types."""
        now = pa.repeat(pa.scalar(self.clock.now(), TIME_COLUMN.kind.sealed_type), len(nodes))
        self.nodes.append_columns(nodes, {TIME_COLUMN: now, PARENT_COLUMN: parents, **data})


class FolderWriter(Writer):
    """One writer of a collection's folder, from its first row on."""

    def __init__(self, folder: Folder) -> None:
        super().__init__()
        self.folder = folder
        identity = folder.info()["id"] if folder.exists() else os.urandom(16).hex()
        self.backend = FolderBackend(folder, identity)
        self.nodes = TableWriter(
            NODES, self.backend, before_seal=partial(_records_before_ends, self.backend)
        )
        self.records = TableWriter(
            RECORDS,
            self.backend,
            check_new=_refuse_experiment_keys,
            reserved=RESERVED,
            before_seal=partial(_attributes_before_records, self.nodes, self.backend),
        )

    @property
    def identity(self) -> str:
        """The id of the collection, by which a recorder from another process finds it."""
        return self.backend.identity

    def new_node(self) -> int:
        """An id for a new node.

        Raises:
            ClosedError: the collection was closed.
            ReadOnlyError: it was opened read-only.
        """
        if not self.backend.is_open:
            self.backend.open()
        return self.backend.ids.take()

    @property
    def is_read_only(self) -> bool:
        """Whether nothing is written to the collection's folder."""
        return self.folder.is_read_only

    def require_writable(self) -> None:
        """Raise unless writing is allowed.

        Raises:
            ReadOnlyError: the collection was opened read-only.
        """
        self.folder.require_writable()

    def set_attributes(self, node: int, data: Mapping[str, Any], parent: int | None = None) -> int:
        """Like the base class; it is written before any record below the node."""
        now = Writer.set_attributes(self, node, data, parent)
        if not self.backend.is_mapped:
            self.nodes.flush()
        return now

    # --- durability ----------------------------------------------------------------------------

    def flush(self) -> None:
        """Flush all rows to the operating system, if files are not mapped."""
        self.nodes.flush()
        self.records.flush()

    def sync(self) -> None:
        """Block until all rows survive a power loss, or wait in memory with a warning to the user."""
        if not self._can_sync():
            return
        # Records first: their nodes were written before them.
        records, nodes = self.records.sync(), self.nodes.sync()
        if records is not None and nodes is not None:
            self.backend.record_synced({RECORDS: records, NODES: nodes})

    def _can_sync(self) -> bool:
        """Whether this is a writer that can sync now; if not, it is synced later."""
        if not self.backend.is_open:
            return False
        if self._is_changing:
            self.backend.schedule(_weakly(self.sync))
            return False
        return True

    @property
    def _is_changing(self) -> bool:
        """Whether a signal handler is calling in the middle of a change by this very thread.

        Then it must not wait for a sealing thread, which waits for the end of the change; its request
        is carried out right after the change.
        """
        return self.nodes.is_changing or self.records.is_changing

    def finish(self) -> None:
        """Sync all records before their experiment's end is written.

        That they are there is recorded with the end, by the next ``sync``. Many rows are sealed with
        full tables that wait for it.
        """
        self.records.hand_over_much()
        if self._can_sync() and (records := self.records.sync()) is not None:
            self.backend.remember_synced({RECORDS: records})

    def hold(self, node: int) -> None:
        """Create a node that is excluded from query results, with all below it, until it has a parent.

        Compaction does not change it. If it is to stay hidden, it is deleted in the end.
        """
        self.nodes.append(node, {TIME: self.clock.now(), PARENT: DELETED, DELETION: False})
        self.nodes.flush()

    def delete(self, nodes: Collection[int]) -> None:
        """Exclude nodes, with all below them, from query results; no file is changed for it.

        Raises:
            SaveError: the deletion can't be written, and only this process knows it.
        """
        for node in nodes:
            self.withdraw(node)
        self.require_saved()

    def require_saved(self) -> None:
        """Sync.

        Raises:
            SaveError: rows wait in memory and still can't be written.
        """
        self.sync()
        if self._is_changing:
            return
        self.nodes.require_saved()
        self.records.require_saved()
        if not (self.nodes.cannot_seal or self.records.cannot_seal):
            self.backend.clear_trouble()

    def seal(self) -> None:
        """Write all rows to sealed files.

        Raises:
            SaveError: that fails now; what is only in memory stays there.
        """
        if self._is_changing:
            self.backend.schedule(_weakly(self.seal))
            return
        self.nodes.seal()
        self.records.seal()
        self.sync()
        self.nodes.require_sealed()
        self.records.require_sealed()
        self.backend.clear_trouble()

    def close(self) -> None:
        """Seal all rows, remove the live files and stop being a writer.

        Raises:
            SaveError: some can't be sealed now; the store stays open.
            BusyError: a signal handler calls it in the middle of another change.
        """
        try:
            self.nodes.require_quiet()
            self.records.require_quiet()
            self.backend.refuses = True
            if self.backend.is_open:
                self.nodes.close()
                self.records.close()
            self.backend.close()
        finally:
            self.backend.refuses = False

    def end(self) -> None:
        """Save everything as the interpreter exits; rows logged after it belong to another writer.

        Threads and exit handlers that log until the very end find the collection open. Their rows are
        in live files, which the next opening recovers.

        Raises:
            SaveError: some can't be sealed now.
        """
        tries = _TRIES
        while self.backend.is_open and tries and not self._is_left():
            self.nodes.require_sealed()
            self.records.require_sealed()
            tries -= 1
        self.backend.is_ending = True

    def _is_left(self) -> bool:
        """Stop being this writer, if no row is in a live file."""
        with holding(self.nodes, self.records):
            self.backend.is_ending = self.nodes.is_left() and self.records.is_left()
            if self.backend.is_ending:
                self.backend.leave()
            return self.backend.is_ending

    def __del__(self) -> None:
        """Save what can't be written to any more; failures are recovered at the next opening."""
        backend = getattr(self, "backend", None)
        if backend is not None and backend.is_open and not backend.is_ending:
            with contextlib.suppress(Exception):
                self.close()

    def renew_after_fork(self) -> None:
        """In a forked child: the parent's writer is replaced by a new one from the next row on."""
        self.backend.forget()
        self.records.start_anew()
        self.nodes.start_anew()
        self.clock.free_lock()


def _refuse_experiment_keys(columns: Sequence[Column]) -> None:
    require_free(column.key for column in columns)


def _attributes_before_records(nodes: TableWriter, backend: FolderBackend) -> None:
    """No record survives a loss of power, nor is it sealed, without its node.

    Raises:
        OSError: updates of nodes wait in memory.
    """
    if (synced := nodes.sync()) is not None:
        backend.record_synced({NODES: synced})
    if nodes.rows_at_risk():
        message = f"attributes of recorders wait in memory: {backend.trouble}"
        raise OSError(message)


def _records_before_ends(backend: FolderBackend) -> None:
    """No end of an experiment is sealed before it is on record how far its records are synced.

    Raises:
        OSError: the folder can't be written.
    """
    backend.look()
    backend.record_synced({})


def _weakly(method: Callable[[], object]) -> Callable[[], None]:
    """A method that does not keep its object alive; it does nothing once that is gone."""
    known = weakref.WeakMethod(method)

    def call() -> None:
        if (found := known()) is not None:
            found()

    return call
